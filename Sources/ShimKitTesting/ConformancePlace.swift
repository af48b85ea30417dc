internal import Kernel

/// Where a run of the suite keeps what it makes on disk, and what the names of all that it makes have in common.
public struct ConformancePlace: Sendable {
    /// The directory of scratch directories.
    public let directory: String
    /// A part of the names of containers and their cgroups, by which they are found again; empty for none.
    public let mark: String

    /// Names a place.
    ///
    /// - Parameters:
    ///   - directory: A directory that is there.
    ///   - mark: Lower-case letters and digits.
    public init(directory: String, mark: String) {
        (self.directory, self.mark) = (directory, mark)
    }

    /// Among what others make.
    static let shared = ConformancePlace(directory: "/tmp", mark: "")

    /// A new container's id.
    func makeID() -> String { "conformance-\(mark)\(Random.hex(mark.isEmpty ? 6 : 3))" }

    /// The path of a new scratch directory.
    ///
    /// - Parameter name: What it is called among others'; in a place of its own it is short, as paths of sockets must be.
    /// - Returns: A path where nothing is yet.
    func scratch(_ name: String) -> String { "\(directory)/\(mark.isEmpty ? name : Random.hex(3))" }
}

extension Conformance {
    /// Where checks make what they need.
    @TaskLocal public static var place = ConformancePlace.shared
}
