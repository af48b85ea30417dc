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
            let idmap: Part?
        }
        /// Something that a runtime is built with or without.
        struct Part: Decodable {
            let enabled: Bool?
        }
        let namespaces: [String]?
        let capabilities: [String]?
        let mountExtensions: MountExtensions?
        let seccomp: Part?
        let apparmor: Part?
        let selinux: Part?
        let intelRdt: Part?
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
        case .capability(let name): linux?.capabilities?.contains(name) ?? true
        case .seccomp: linux?.seccomp?.enabled ?? true
        case .apparmor: linux?.apparmor?.enabled ?? true
        case .selinux: linux?.selinux?.enabled ?? true
        case .intelRdt: linux?.intelRdt?.enabled ?? true
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

/// A part of a document that a runtime which cannot do it may pass over in silence.
struct RuntimeDemand: Equatable {
    /// What the runtime has to have.
    enum Kind: Equatable {
        case namespace(String)
        case hook(String)
        case mountOption(String)
        case mappedMount
        /// The version of the specification that has brought it.
        case version(Int, Int)
        case capability(String)
        case seccomp, apparmor, selinux, intelRdt
    }

    /// Where it stands in the document.
    let field: String
    let kind: Kind

    /// Whether the container must not be without it.
    ///
    /// A capability that cannot be granted is none of that: the specification has runtimes warn of it.
    var isDue: Bool { if case .capability = kind { false } else { true } }

    /// Words that a runtime which does not know them takes for data of the file system, which a bind mount has none of.
    private static let youngOptions: Set<String> = [
        "idmap", "ridmap", "tmpcopyup", "nosymfollow", "rro", "rrw", "rnosuid", "rnodev", "rnoexec", "rnoatime",
        "rnodiratime",
        "rnorelatime", "rnosymfollow", "rstrictatime",
    ]

    /// Whether a runtime may not know a capability: one that came with Linux 5.8 or later.
    private static func isYoung(_ capability: String) -> Bool {
        (CapabilitySet(name: capability)?.rawValue ?? .max) >= 1 << 38
    }

    /// What the document of a container demands; most demand nothing but a filter.
    static func all(of document: RuntimeSpec) -> [RuntimeDemand] {
        fields(of: document) + (document.process.map(all(of:)) ?? []) + hooks(of: document.hooks)
            + mounts(of: document.mounts ?? [])
    }

    /// What the document of a process demands; most demand nothing.
    static func all(of process: RuntimeSpec.Process) -> [RuntimeDemand] {
        var found = [
            (process.scheduler != nil, "scheduler", Kind.version(1, 1)),
            (process.ioPriority != nil, "ioPriority", .version(1, 1)),
            (process.execCPUAffinity != nil, "execCPUAffinity", .version(1, 2)),
            (process.apparmorProfile?.isEmpty == false, "apparmorProfile", .apparmor),
            (process.selinuxLabel?.isEmpty == false, "selinuxLabel", .selinux),
        ].compactMap { isThere, field, kind in isThere ? RuntimeDemand(field: "process.\(field)", kind: kind) : nil }
        let sets = process.capabilities
        let names = [sets?.bounding, sets?.effective, sets?.permitted, sets?.inheritable, sets?.ambient]
            .flatMap { $0 ?? [] }
        for name in Set(names).filter(isYoung).sorted() {
            found.append(RuntimeDemand(field: "process.capabilities '\(name)'", kind: .capability(name)))
        }
        return found
    }

    private static func fields(of document: RuntimeSpec) -> [RuntimeDemand] {
        let linux = document.linux
        let hasTime = linux?.namespaces?.contains { $0.type == .time } ?? false
        return [
            (document.domainname != nil, "domainname", Kind.version(1, 1)),
            (hasTime, "linux.namespaces", .namespace(RuntimeSpec.NamespaceType.time.rawValue)),
            (linux?.timeOffsets != nil, "linux.timeOffsets", .version(1, 1)),
            (linux?.netDevices?.isEmpty == false, "linux.netDevices", .version(1, 3)),
            (linux?.memoryPolicy != nil, "linux.memoryPolicy", .version(1, 3)),
            (linux?.seccomp != nil, "linux.seccomp", .seccomp),
            (linux?.mountLabel?.isEmpty == false, "linux.mountLabel", .selinux),
            (linux?.intelRdt != nil, "linux.intelRdt", .intelRdt),
        ].compactMap { isThere, field, kind in isThere ? RuntimeDemand(field: field, kind: kind) : nil }
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
    /// Refuses a document that asks for what the runtime says it cannot do, and might pass over in silence.
    ///
    /// A document that asks for nothing of the kind costs no call.
    ///
    /// - Parameter specification: `config.json`; one that cannot be read is left to the runtime.
    /// - Throws: `unsupported`, with the field's name; `timedOut`.
    func check(_ specification: [UInt8]) throws(BackendError) {
        guard let document = try? RuntimeSpec(parsing: specification) else { return }
        try check(RuntimeDemand.all(of: document))
    }

    /// The same for a document of a further process.
    ///
    /// - Parameter process: An OCI Process in JSON.
    /// - Throws: As above.
    func check(process: [UInt8]) throws(BackendError) {
        guard let document = try? RuntimeSpec.Process(parsing: process) else { return }
        try check(RuntimeDemand.all(of: document))
    }

    private func check(_ demands: [RuntimeDemand]) throws(BackendError) {
        guard !demands.isEmpty else { return }
        guard let features = try features() else {
            return RuntimeLog.note("\(path) does not say what it can do: \(demands.map(\.field)) are left to it")
        }
        let lacking = demands.filter { !features.allow($0) }
        for demand in lacking where !demand.isDue {
            RuntimeLog.note("by its 'features', \(path) ignores \(demand.field)")
        }
        guard let refused = lacking.first(where: \.isDue) else { return }
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
