package import EngineModel

/// Merges an image's configuration with a client's (OCI image-spec "Conversion to OCI Runtime Configuration").
package enum Resolution {
    package static let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    /// - Throws: `.invalidArgument` when there is no command, or when the image says something that cannot be used.
    package static func resolve(
        _ request: ContainerConfiguration,
        image: ImageConfiguration,
        id: ContainerID
    ) throws -> ResolvedConfiguration {
        var entrypoint = request.entrypoint ?? image.entrypoint ?? []
        var command = request.command ?? []
        if command.isEmpty, (request.entrypoint ?? []).isEmpty { command = image.command ?? [] }
        if entrypoint == [""] { entrypoint = [] }
        guard !(entrypoint + command).isEmpty else { throw EngineError.invalid("no command specified") }
        for text in entrypoint + command { try ConfigurationCheck.noNUL(text, "argument") }
        let hostname =
            request.utsMode == .host ? request.hostname : request.hostname.isEmpty ? id.short : request.hostname
        let workingDirectory = request.workingDirectory.isEmpty ? image.workingDirectory : request.workingDirectory
        try ConfigurationCheck.workingDirectory(workingDirectory)
        let user = request.user.isEmpty ? image.user : request.user
        try ConfigurationCheck.user(user)
        let signal = [request.stopSignal, image.stopSignal].compactMap { $0 }.first { !$0.isEmpty } ?? "SIGTERM"
        _ = try ConfigurationCheck.signal(signal)
        var resolved = ResolvedConfiguration(
            entrypoint: entrypoint,
            command: command,
            environment: try environment(request, image: image, hostname: hostname),
            labels: image.labels.merging(request.labels) { _, new in new },
            workingDirectory: workingDirectory.isEmpty ? "/" : workingDirectory,
            user: user,
            stopSignal: signal,
            hostname: hostname,
            exposedPorts: Set(image.exposedPorts + request.exposedPorts).sorted()
        )
        resolved.health = HealthConfiguration.merge(request.health, image.health)
        resolved.healthCommand = try resolved.health?.command(shell: image.shell ?? ["/bin/sh", "-c"])
        for text in resolved.healthCommand ?? [] { try ConfigurationCheck.noNUL(text, "argument of the health check") }
        return resolved
    }

    /// Ours first, then the image's, then the client's; the last value of a name wins and keeps the first's place.
    private static func environment(
        _ request: ContainerConfiguration,
        image: ImageConfiguration,
        hostname: String
    ) throws -> [String] {
        for variable in image.environment { try ConfigurationCheck.variable(variable) }
        var own = [path]
        if !hostname.isEmpty { own.append("HOSTNAME=\(hostname)") }
        if request.terminal { own.append("TERM=xterm") }
        return merge(own + image.environment + request.environment)
    }

    package static func merge(_ variables: [String]) -> [String] {
        var order: [Substring] = []
        var values: [Substring: String] = [:]
        for variable in variables {
            let name = variable.prefix { $0 != "=" }
            guard variable.contains("=") else {
                values[name] = nil
                order.removeAll { $0 == name }
                continue
            }
            if values.updateValue(variable, forKey: name) == nil { order.append(name) }
        }
        return order.compactMap { values[$0] }
    }
}
