/// A version of the Docker Engine API, such as 1.51.
public struct APIVersion: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The number before the dot.
    public var major: Int
    /// The number after the dot.
    public var minor: Int

    /// The version `major.minor`.
    public init(_ major: Int, _ minor: Int) {
        self.major = major
        self.minor = minor
    }

    /// The version that `text` names: digits and dots, of which the first two numbers count.
    ///
    /// Nil for any other text. A number too large to hold counts as the largest, so that it compares as newer than everything.
    public init?(_ text: some StringProtocol) {
        guard !text.isEmpty, text.utf8.allSatisfy({ $0 == 0x2E || (0x30...0x39).contains($0) }) else { return nil }
        let numbers = text.split(separator: ".", omittingEmptySubsequences: false).map { part in
            part.isEmpty ? 0 : Int(part) ?? Int.max
        }
        major = numbers[0]
        minor = numbers.count > 1 ? numbers[1] : 0
    }

    /// `major.minor`.
    public var description: String {
        "\(major).\(minor)"
    }

    /// Orders by major, then minor number.
    public static func < (left: APIVersion, right: APIVersion) -> Bool {
        (left.major, left.minor) < (right.major, right.minor)
    }
}

/// A request path, split into its version and the rest exactly once.
package struct VersionedPath: Sendable, Equatable {
    /// The version in the path, or the highest one.
    package var version: APIVersion
    /// Whether the path named the version.
    package var isExplicit: Bool
    /// The path after the version, always with a leading slash.
    package var path: String

    /// Splits `path`; a first segment that is not `v` plus digits and dots belongs to the path.
    package init(_ path: String) {
        version = DockerAPIVersions.maximum
        isExplicit = false
        self.path = path
        guard path.hasPrefix("/v") else { return }
        let rest = path.dropFirst(2)
        guard let slash = rest.firstIndex(of: "/"), let found = APIVersion(rest[..<slash]) else { return }
        version = found
        isExplicit = true
        self.path = String(rest[slash...])
    }

    /// Refuses versions outside the range.
    package func check() throws(APIError) {
        if version < DockerAPIVersions.minimum {
            throw .invalid(
                "client version \(version) is too old. Minimum supported API version is \(DockerAPIVersions.minimum), "
                    + "please upgrade your client to a newer version"
            )
        }
        if version > DockerAPIVersions.maximum {
            throw .invalid(
                "client version \(version) is too new. Maximum supported API version is \(DockerAPIVersions.maximum)"
            )
        }
    }
}
