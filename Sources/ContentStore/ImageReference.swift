public import OCISpec

/// A name of an image as users write it: `busybox`, `team/app:1.2`, `host:5000/app@sha256:…`.
///
/// Holds the full form. Short names get the domain and the folder that Docker's clients assume for them, so
/// `busybox` and its full spelling are equal.
public struct ImageReference: Hashable, Sendable, CustomStringConvertible {
    /// The domain that names without one belong to.
    public static let defaultDomain = "docker.io"
    /// The folder of the default domain that names without a slash belong to.
    public static let officialFolder = "library"
    /// The tag that is meant when there is neither tag nor digest.
    public static let defaultTag = "latest"

    /// Host, with a port where there is one.
    public let domain: String
    /// Path of the repository below the domain.
    public let path: String
    /// Tag, where the name has one.
    public let tag: String?
    /// Digest, where the name has one; it says what is meant, whatever the tag.
    public let digest: Digest?

    private init(domain: String, path: String, tag: String?, digest: Digest?) {
        self.domain = domain
        self.path = path
        self.tag = tag
        self.digest = digest
    }

    /// Parses a short or full name; without tag and digest the tag stays nil.
    ///
    /// - Throws: `invalidArgument` for what is no name, such as upper case, `..` or 64 hex digits, which are an id.
    public init(parsing text: String) throws(ContentError) {
        let malformed = ContentError.invalid("invalid reference format: '\(text)'")
        guard text.utf8.count <= 512 else { throw malformed }
        var rest = text[...]
        var digest: Digest?
        if let at = rest.firstIndex(of: "@") {
            guard let parsed = Digest(rest[rest.index(after: at)...]) else { throw malformed }
            digest = parsed
            rest = rest[..<at]
        }
        var tag: String?
        if let colon = rest.lastIndex(of: ":"), !rest[colon...].contains("/") {
            tag = String(rest[rest.index(after: colon)...])
            rest = rest[..<colon]
        }
        let (domain, path) = ImageReference.split(rest)
        guard tag.map(ImageReference.isTag) ?? true, ImageReference.isDomain(domain), ImageReference.isPath(path),
            domain.utf8.count + 1 + path.utf8.count <= 255,
            Digest(algorithm: .sha256, hex: String(rest)) == nil
        else { throw malformed }
        self.init(domain: domain, path: path, tag: tag, digest: digest)
    }

    /// The repository in full, without tag and digest.
    public var name: String { domain + "/" + path }

    /// The repository as Docker's clients show it: the default domain and folder left out.
    public var familiarName: String {
        guard domain == ImageReference.defaultDomain else { return name }
        let prefix = ImageReference.officialFolder + "/"
        let short = path.dropFirst(prefix.count)
        return path.hasPrefix(prefix) && !short.contains("/") ? String(short) : path
    }

    /// The whole name in full.
    public var description: String { name + suffix }

    /// The whole name as Docker's clients show it, such as `busybox:latest`.
    public var familiar: String { familiarName + suffix }

    /// The same name with the default tag when it has neither tag nor digest.
    public var tagged: ImageReference {
        guard tag == nil, digest == nil else { return self }
        return ImageReference(domain: domain, path: path, tag: ImageReference.defaultTag, digest: nil)
    }

    /// The same repository with another tag.
    ///
    /// - Throws: `invalidArgument` when it is no tag.
    public func with(tag: String) throws(ContentError) -> ImageReference {
        guard ImageReference.isTag(tag) else { throw .invalid("invalid tag format: '\(tag)'") }
        return ImageReference(domain: domain, path: path, tag: tag, digest: nil)
    }

    /// The same repository with a digest.
    public func with(digest: Digest) -> ImageReference {
        ImageReference(domain: domain, path: path, tag: nil, digest: digest)
    }

    private var suffix: String { (tag.map { ":" + $0 } ?? "") + (digest.map { "@\($0)" } ?? "") }

    private static func split(_ name: Substring) -> (domain: String, path: String) {
        if let slash = name.firstIndex(of: "/") {
            let first = name[..<slash]
            if first == "localhost" || first.contains(".") || first.contains(":") {
                let path = name[name.index(after: slash)...]
                let isOfficial = first == defaultDomain && !path.contains("/")
                return (String(first), isOfficial ? officialFolder + "/" + path : String(path))
            }
            return (defaultDomain, String(name))
        }
        return (defaultDomain, officialFolder + "/" + name)
    }

    private static func isTag(_ tag: String) -> Bool {
        guard let first = tag.utf8.first, tag.utf8.count <= 128 else { return false }
        return (isWord(first) || first == 0x5f)
            && tag.utf8.allSatisfy { isWord($0) || [0x5f, 0x2e, 0x2d].contains($0) }
    }

    private static func isDomain(_ domain: String) -> Bool {
        let parts = domain.split(separator: ":", omittingEmptySubsequences: false)
        guard let host = parts.first, parts.count <= 2 else { return false }
        if parts.count == 2 { guard let port = UInt16(parts[1]), port > 0 else { return false } }
        return host.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            !label.isEmpty && label.utf8.allSatisfy { isWord($0) || $0 == 0x2d } && label.first != "-"
                && label.last != "-"
        }
    }

    /// Components of lower-case letters and digits with single separators: `.`, `_`, `__` or any number of `-`.
    private static func isPath(_ path: String) -> Bool {
        path.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { component in
            let runs = component.split { isPathWord($0) }
            guard let first = component.utf8.first, let last = component.utf8.last else { return false }
            guard isLowerWord(first), isLowerWord(last) else { return false }
            return runs.allSatisfy { run in
                run == "." || run == "_" || run == "__" || run.allSatisfy { $0 == "-" }
            }
        }
    }

    private static func isPathWord(_ character: Character) -> Bool {
        character.utf8.count == 1 && character.utf8.allSatisfy(isLowerWord)
    }

    private static func isLowerWord(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x61...0x7a).contains(byte)
    }

    private static func isWord(_ byte: UInt8) -> Bool { isLowerWord(byte) || (0x41...0x5a).contains(byte) }
}
