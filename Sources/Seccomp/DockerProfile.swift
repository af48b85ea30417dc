internal import FoundationEssentials
internal import Kernel
public import OCISpec

/// Docker's JSON form of a profile, the content of `--security-opt seccomp=FILE`.
///
/// It is the runtime document's section with two additions: rules that apply only with or without certain capabilities,
/// architectures or kernels, and a table of the further calling conventions of each architecture.
public enum DockerProfile {
    /// Largest profile that is read.
    public static let maximumSize = 1 << 20

    /// Reads a profile and picks what applies to a container.
    ///
    /// - Parameters:
    ///   - json: The profile.
    ///   - capabilities: Names such as `CAP_SYS_ADMIN`, the bounding set of the container.
    ///   - kernel: Release of the running kernel, such as `6.18.2`, for rules with a `minKernel`.
    /// - Returns: The section for a runtime document.
    /// - Throws: `invalidArgument` when the text is no profile or contradicts itself.
    public static func parse(
        _ json: [UInt8],
        capabilities: some Sequence<String>,
        kernel: String
    ) throws(SeccompError) -> RuntimeSpec.Seccomp {
        guard json.count <= maximumSize else { throw .invalidProfile("more than \(maximumSize) bytes") }
        let document: Document
        do { document = try JSONDecoder().decode(Document.self, from: Data(json)) } catch {
            throw .invalidProfile(Self.reason(error))
        }
        let circumstances = Circumstances(capabilities: Set(capabilities), kernel: version(kernel) ?? (0, 0))
        var rules: [RuntimeSpec.Seccomp.Rule] = []
        for rule in document.syscalls ?? [] {
            let names = try names(of: rule)
            guard try circumstances.apply(rule) else { continue }
            rules.append(.init(names: names, action: rule.action, errnoRet: rule.errnoRet, args: rule.args))
        }
        return RuntimeSpec.Seccomp(
            defaultAction: document.defaultAction,
            defaultErrnoRet: document.defaultErrnoRet,
            architectures: try architectures(of: document),
            flags: document.flags,
            listenerPath: document.listenerPath,
            listenerMetadata: document.listenerMetadata,
            syscalls: rules
        )
    }

    /// What is wrong with a document, and where.
    private static func reason(_ error: any Error) -> String {
        guard let error = error as? DecodingError else { return "not valid JSON" }
        let (path, reason): ([any CodingKey], String)
        switch error {
        case .keyNotFound(let key, let context):
            (path, reason) = (context.codingPath, "'\(key.stringValue)' is missing")
        case .valueNotFound(_, let context): (path, reason) = (context.codingPath, "it is null")
        case .typeMismatch(_, let context): (path, reason) = (context.codingPath, "it is of another type")
        case .dataCorrupted(let context):
            (path, reason) = (
                context.codingPath, context.codingPath.isEmpty ? "not valid JSON" : "it is no known value"
            )
        @unknown default: return "not valid JSON"
        }
        let place = path.map { key in key.intValue.map { "[\($0)]" } ?? ".\(key.stringValue)" }.joined().dropFirst()
        return place.isEmpty ? reason : "'\(place)': \(reason)"
    }

    private static func names(of rule: Document.Rule) throws(SeccompError) -> [String] {
        switch (rule.name, rule.names) {
        case (let name?, nil): return [name]
        case (nil, let names?) where !names.isEmpty: return names
        case (_?, _?): throw .invalidProfile("a rule has both name and names")
        default: throw .invalidProfile("a rule without names")
        }
    }

    private static func architectures(of document: Document) throws(SeccompError) -> [String]? {
        guard let map = document.archMap, !map.isEmpty else { return document.architectures }
        guard (document.architectures ?? []).isEmpty else {
            throw .invalidProfile("both architectures and archMap")
        }
        guard let entry = map.first(where: { $0.architecture == Circumstances.nativeToken }) else { return nil }
        return [entry.architecture] + (entry.subArchitectures ?? [])
    }

    fileprivate static func version(_ text: String) -> (Int, Int)? {
        let parts = text.split(separator: ".", maxSplits: 2).prefix(2).map { $0.prefix { $0.isASCII && $0.isNumber } }
        guard parts.count == 2, let major = Int(parts[0]), let minor = Int(parts[1]) else { return nil }
        return (major, minor)
    }
}

/// What conditional rules are decided by.
private struct Circumstances {
    var capabilities: Set<String>
    var kernel: (Int, Int)

    func apply(_ rule: Document.Rule) throws(SeccompError) -> Bool {
        if let excludes = rule.excludes {
            if (excludes.arches ?? []).contains(Self.nativeName) { return false }
            if (excludes.caps ?? []).contains(where: capabilities.contains) { return false }
            if let least = excludes.minKernel, try reaches(least) { return false }
        }
        guard let includes = rule.includes else { return true }
        if let arches = includes.arches, !arches.isEmpty, !arches.contains(Self.nativeName) { return false }
        if !(includes.caps ?? []).allSatisfy(capabilities.contains) { return false }
        if let least = includes.minKernel, try !reaches(least) { return false }
        return true
    }

    private func reaches(_ least: String) throws(SeccompError) -> Bool {
        guard let least = DockerProfile.version(least) else { throw .invalidProfile("minKernel '\(least)'") }
        return kernel >= least
    }

    #if arch(x86_64)
    static let nativeName = "amd64"
    static let nativeToken = "SCMP_ARCH_X86_64"
    #elseif arch(arm64)
    static let nativeName = "arm64"
    static let nativeToken = "SCMP_ARCH_AARCH64"
    #else
    static let nativeName = ""
    static let nativeToken = ""
    #endif
}

/// The JSON document.
private struct Document: Decodable {
    var defaultAction: RuntimeSpec.Seccomp.Action
    var defaultErrnoRet: UInt32?
    var architectures: [String]?
    var archMap: [Architecture]?
    var flags: [String]?
    var listenerPath: String?
    var listenerMetadata: String?
    var syscalls: [Rule]?

    struct Architecture: Decodable {
        var architecture: String
        var subArchitectures: [String]?
    }

    struct Filter: Decodable {
        var caps: [String]?
        var arches: [String]?
        var minKernel: String?
    }

    struct Rule: Decodable {
        var name: String?
        var names: [String]?
        var action: RuntimeSpec.Seccomp.Action
        var errnoRet: UInt32?
        var args: [RuntimeSpec.Seccomp.Argument]?
        var includes: Filter?
        var excludes: Filter?
    }
}
