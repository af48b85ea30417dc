// Client: a caller of the Docker Engine API over a unix socket.
//
// It blocks. One thread waits in `poll` or `read`; HTTP is parsed by NIO's decoder inside an embedded channel, used as a value
// without an event loop. So a command starts in a few milliseconds, and a session with a terminal is one small loop.
// A connection carries one request at a time. After an upgrade it is a plain socket in both directions.

/// Where a daemon listens.
public struct Host: Sendable, Equatable, CustomStringConvertible {
    /// Path of the socket.
    public let path: String

    /// The socket of a daemon with its default state directory.
    public static let `default` = Host(path: "/run/berth/berth.sock")

    /// Environment variable that names a host.
    public static let environmentVariable = "BERTH_HOST"

    /// The host with its socket at `path`.
    public init(path: String) {
        self.path = path
    }

    /// The host that `text` names: `unix://PATH`, or an absolute path.
    ///
    /// - Throws: ``ClientError`` with code `invalidArgument` for any other scheme.
    public init(parsing text: String) throws(ClientError) {
        if text.hasPrefix("unix://"), text.count > 7 {
            path = String(text.dropFirst(7))
        } else if text.hasPrefix("/") {
            path = text
        } else {
            throw .invalidHost(text)
        }
    }

    /// `unix://PATH`.
    public var description: String {
        "unix://\(path)"
    }
}
