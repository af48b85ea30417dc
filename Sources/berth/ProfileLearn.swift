import ArgumentParser
import Client
import DockerTypes
import Kernel

/// `berth profile learn`.
struct ProfileLearn: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "learn",
        abstract: "Run a container, and learn what it asks of the kernel.",
        usage:
            "berth profile learn --name profile [--allow call[:class]] [options of run] image [command] [argument ...]",
        discussion: """
            --name is the profile's; the container gets a name of its own. Runs add to what was learned before. Dangerous calls \
            are left out unless --allow names them.
            """,
        helpNames: .long
    )

    @ParentCommand var berth: Berth
    @OptionGroup var options: ContainerOptions

    @Option(help: ArgumentHelp("Learn this call although it is dangerous.", valueName: "call[:class]"))
    var allow: [String] = []

    @Argument(parsing: .captureForPassthrough, help: "The image, and the command that runs instead of the image's.")
    var image: [String]

    func validate() throws {
        try image.checkPassthrough(Self.self)
        guard options.name?.isEmpty == false else { throw ValidationError("name the profile: --name") }
    }

    func run() throws {
        let client = try berth.client()
        let profile = options.name ?? ""
        let before = try known(client, profile)
        var run = Run()
        run.options = options
        run.options.name = nil
        run.options.securityOpt += ["berth.learn=\(profile)"] + allow.map { "berth.allow=\($0)" }
        run.image = image
        (run.detach, run.attach, run.detachKeys, run.sigProxy) = (false, [], nil, true)
        var status: ExitCode?
        do { try run.perform(client) } catch let code as ExitCode { status = code }
        report(before, try client.get(BerthProfile.self, ProfileCommand.path(profile)))
        if let status { throw status }
    }

    /// What the profile says before; nil when there is none.
    private func known(_ client: APIClient, _ profile: String) throws -> BerthProfile? {
        do throws(ClientError) { return try client.get(BerthProfile.self, ProfileCommand.path(profile)) } catch {
            guard error.status == 404 else { throw Failure(error.description, code: 125) }
            return nil
        }
    }

    /// To the standard error: the output is the container's.
    private func report(_ before: BerthProfile?, _ after: BerthProfile) {
        let old = Set((before?.calls ?? []).map(Self.text))
        let fresh = after.calls.map(Self.text).filter { !old.contains($0) }
        Output.note("profile \(after.summary.name): \(after.summary.calls) calls, \(fresh.count) new entries")
        for text in fresh { Output.note("  learned: \(text)") }
        for call in after.refused {
            let danger = call.danger.map { ", dangerous: \($0)" } ?? ""
            Output.note("  refused (\(call.answer ?? "")\(danger)): \(Self.text(call)), \(call.count) times")
        }
        for call in after.dangerous {
            let text = Self.text(call)
            Output.note(
                "  left out (\(call.danger ?? "")): \(text), \(call.count) times; --allow '\(text)' takes it up"
            )
        }
        if after.summary.incompleteRuns > 0 {
            Output.note("  \(after.summary.incompleteRuns) of \(after.summary.runs) runs are not complete")
        }
    }

    private static func text(_ call: BerthProfileCall) -> String {
        call.argument.map { "\(call.call):\($0)" } ?? call.call
    }
}
