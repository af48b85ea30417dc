package import EngineModel
import Kernel

/// The files under `/etc` that the engine makes.
///
/// Every value in them was checked when the container was created.
package enum GeneratedFiles {
    static let standardHosts = """
        127.0.0.1\tlocalhost
        ::1\tlocalhost ip6-localhost ip6-loopback
        fe00::\tip6-localnet
        ff00::\tip6-mcastprefix
        ff02::1\tip6-allnodes
        ff02::2\tip6-allrouters

        """

    package static func hosts(_ configuration: ContainerConfiguration) throws -> String {
        let base =
            configuration.network == .host && File.exists("/etc/hosts")
            ? try File.readText("/etc/hosts") : standardHosts
        return hosts(base: base, extra: configuration.extraHosts)
    }

    package static func hosts(base: String, extra: [String]) -> String {
        let lines = extra.map { entry -> String in
            let colon = entry.firstIndex(of: ":") ?? entry.endIndex
            let address = entry[colon...].dropFirst().drop { $0 == "[" }.prefix { $0 != "]" }
            return "\(address)\t\(entry[..<colon])\n"
        }
        return base + (base.isEmpty || base.hasSuffix("\n") ? "" : "\n") + lines.joined()
    }

    package static func resolvConf(_ configuration: ContainerConfiguration) throws -> String {
        let path = "/etc/resolv.conf"
        return resolvConf(base: File.exists(path) ? try File.readText(path) : "", configuration)
    }

    /// The host's file with what the configuration replaces.
    package static func resolvConf(base: String, _ configuration: ContainerConfiguration) -> String {
        let replaced: [(key: String, lines: [String])] = [
            ("nameserver", configuration.dns.map { "nameserver \($0)" }),
            (
                "search",
                configuration.dnsSearch.isEmpty
                    ? []
                    : [configuration.dnsSearch.filter { $0 != "." }]
                        .map { "search " + $0.joined(separator: " ") }
            ),
            (
                "options",
                configuration.dnsOptions.isEmpty ? [] : ["options " + configuration.dnsOptions.joined(separator: " ")]
            ),
        ]
        let gone = replaced.filter { !$0.lines.isEmpty }.map(\.key)
        let kept = base.split(separator: "\n").filter { line in
            !gone.contains { line.hasPrefix($0 + " ") || line.hasPrefix($0 + "\t") }
        }
        return (kept.map(String.init) + replaced.flatMap(\.lines)).map { $0 + "\n" }.joined()
    }
}
