internal import Kernel
public import ShimKit

/// A program of the host, by the operator's word.
public enum HostProgram {
    private static let places = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]

    /// `PATH=…` for a program's environment.
    public static let path = "PATH=\(places.joined(separator: ":"))"

    /// Finds the program that a name or a path means.
    ///
    /// - Parameters:
    ///   - name: An absolute path, or a name without `/`.
    ///   - stage: Of the error.
    /// - Returns: Its absolute path.
    /// - Throws: `notFound` with where it was looked for.
    public static func find(_ name: String, stage: String) throws(BackendError) -> String {
        guard !name.hasPrefix("/") else {
            guard File.exists(name) else { throw missing(name, stage, "there is no such file") }
            return name
        }
        guard !name.isEmpty, !name.contains("/") else {
            throw missing(name, stage, "a path is absolute, and a name has no '/'")
        }
        guard let place = places.first(where: { File.exists("\($0)/\(name)") }) else {
            throw missing(name, stage, "it is not in \(places.joined(separator: ":"))")
        }
        return "\(place)/\(name)"
    }

    private static func missing(_ name: String, _ stage: String, _ reason: String) -> BackendError {
        .refused(stage: stage, operation: "find program", object: name, code: .notFound, detail: reason)
    }
}
