import FoundationEssentials
import Kernel
import OCISpec
import ShimKit

/// What a runtime says that it can do (`features`; OCI runtime-spec, features.md).
///
/// What it does not speak of is not known, and left to it.
struct RuntimeFeatures: Decodable {
    /// The part about Linux.
    struct Linux: Decodable {
        /// What mounts can do beyond their options.
        struct MountExtensions: Decodable {
            /// One extension.
            struct Extension: Decodable {
                let enabled: Bool?
            }
            let idmap: Extension?
        }
        let namespaces: [String]?
        let mountExtensions: MountExtensions?
    }
    let ociVersionMax: String?
    let hooks: [String]?
    let mountOptions: [String]?
    let linux: Linux?

    /// Reads what `features` prints; nil for something else.
    init?(printed: [UInt8]) {
        guard let features = try? JSONDecoder().decode(RuntimeFeatures.self, from: Data(printed)) else { return nil }
        self = features
    }

    /// Whether the runtime does what a document demands, as far as it says.
    func allow(_ demand: RuntimeDemand) -> Bool {
        switch demand.kind {
        case .namespace(let name): linux?.namespaces?.contains(name) ?? true
        case .hook(let name): hooks?.contains(name) ?? true
        case .mountOption(let word): mountOptions?.contains(word) ?? true
        case .mappedMount: linux?.mountExtensions?.idmap?.enabled ?? isAtLeast(1, 1)
        case .version(let major, let minor): isAtLeast(major, minor)
        }
    }

    /// Whether the runtime knows a version of the specification.
    private func isAtLeast(_ major: Int, _ minor: Int) -> Bool {
        guard let text = ociVersionMax else { return true }
        let parts = text.split(separator: ".").prefix(2).map { Int($0) ?? 0 }
        guard parts.count == 2 else { return true }
        return (parts[0], parts[1]) >= (major, minor)
    }
}

/// A part of a document that an older runtime would pass over in silence.
struct RuntimeDemand: Equatable {
    /// What the runtime has to have.
    enum Kind: Equatable {
        case namespace(String)
        case hook(String)
        case mountOption(String)
        case mappedMount
        /// The version of the specification that has brought it.
        case version(Int, Int)
    }

    /// Where it stands in the document.
    let field: String
    let kind: Kind

    /// Words that a runtime which does not know them takes for data of the file system, which a bind mount has none of.
    private static let youngOptions: Set<String> = [
        "idmap", "ridmap", "tmpcopyup", "nosymfollow", "rro", "rrw", "rnosuid", "rnodev", "rnoexec", "rnoatime",
        "rnodiratime",
        "rnorelatime", "rnosymfollow", "rstrictatime",
    ]

    /// What a document demands; most demand nothing.
    static func all(of document: RuntimeSpec) -> [RuntimeDemand] {
        fields(of: document) + hooks(of: document.hooks) + mounts(of: document.mounts ?? [])
    }

    private static func fields(of document: RuntimeSpec) -> [RuntimeDemand] {
        var found: [RuntimeDemand] = []
        func demand(_ isThere: Bool, _ field: String, _ kind: Kind) {
            if isThere { found.append(RuntimeDemand(field: field, kind: kind)) }
        }
        demand(document.domainname != nil, "domainname", .version(1, 1))
        demand(document.process?.scheduler != nil, "process.scheduler", .version(1, 1))
        demand(document.process?.ioPriority != nil, "process.ioPriority", .version(1, 1))
        demand(document.process?.execCPUAffinity != nil, "process.execCPUAffinity", .version(1, 2))
        let hasTime = document.linux?.namespaces?.contains { $0.type == .time } ?? false
        demand(hasTime, "linux.namespaces", .namespace(RuntimeSpec.NamespaceType.time.rawValue))
        demand(document.linux?.timeOffsets != nil, "linux.timeOffsets", .version(1, 1))
        demand(document.linux?.netDevices?.isEmpty == false, "linux.netDevices", .version(1, 3))
        demand(document.linux?.memoryPolicy != nil, "linux.memoryPolicy", .version(1, 3))
        return found
    }

    private static func hooks(of hooks: RuntimeSpec.Hooks?) -> [RuntimeDemand] {
        let young = [
            ("createRuntime", hooks?.createRuntime), ("createContainer", hooks?.createContainer),
            ("startContainer", hooks?.startContainer),
        ]
        return young.compactMap { name, list in
            list?.isEmpty == false ? RuntimeDemand(field: "hooks.\(name)", kind: .hook(name)) : nil
        }
    }

    private static func mounts(of mounts: [RuntimeSpec.Mount]) -> [RuntimeDemand] {
        mounts.enumerated().flatMap { index, mount in
            let words = (mount.options ?? []).filter(youngOptions.contains).map {
                RuntimeDemand(field: "mounts[\(index)].options '\($0)'", kind: .mountOption($0))
            }
            guard mount.uidMappings != nil || mount.gidMappings != nil else { return words }
            return words + [RuntimeDemand(field: "mounts[\(index)].uidMappings", kind: .mappedMount)]
        }
    }
}

extension RuntimeProgram {
    /// Refuses a document that asks for what the runtime says it cannot do, and would pass over in silence.
    ///
    /// A document that asks for nothing of the kind costs no call.
    ///
    /// - Parameter specification: `config.json`; one that cannot be read is left to the runtime.
    /// - Throws: `unsupported`, with the field's name; `timedOut`.
    func check(_ specification: [UInt8]) throws(BackendError) {
        guard let document = try? RuntimeSpec(parsing: specification) else { return }
        let demands = RuntimeDemand.all(of: document)
        guard !demands.isEmpty else { return }
        guard let features = try features() else {
            return RuntimeLog.note("\(path) does not say what it can do: \(demands.map(\.field)) are left to it")
        }
        guard let refused = demands.first(where: { !features.allow($0) }) else { return }
        throw .refused(
            stage: "spec",
            operation: "check",
            object: refused.field,
            code: .unsupported,
            detail:
                "by its 'features', \(path) (specification up to \(features.ociVersionMax ?? "an unknown version")) cannot do it"
        )
    }

    /// What the runtime says of itself; nil for one that does not know the command, as older ones.
    private func features() throws(BackendError) -> RuntimeFeatures? {
        do throws(BackendError) {
            return RuntimeFeatures(printed: try run(["features"]))
        } catch {
            // It would hang again.
            if error.code == .timedOut { throw error }
            return nil
        }
    }
}
