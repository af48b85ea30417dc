import Foundation

/// Asks the manager for its version again and again, on a thread of its own.
package final class Poller: @unchecked Sendable {
    // Guarded by the lock, all of it.
    private let lock = NSLock()
    private var isDone = false
    private var answers = 0
    private var failures: [String] = []
    private let ended = DispatchSemaphore(value: 0)

    /// Begins to ask at the socket `path`.
    package init(_ path: String, keepsConnection: Bool) {
        Thread.detachNewThread { [self] in
            var socket: Int32 = -1
            while !lock.withLock({ isDone }) {
                if socket < 0 { socket = Self.connect(path) }
                let failure = socket < 0 ? "connect: \(errno)" : Self.ask(socket)
                lock.withLock { if let failure { failures.append(failure) } else { answers += 1 } }
                if failure != nil || !keepsConnection {
                    close(socket)
                    socket = -1
                }
            }
            close(socket)
            ended.signal()
        }
    }

    /// Stops, and gives what was seen.
    package func finish() -> (answers: Int, failures: [String]) {
        lock.withLock { isDone = true }
        ended.wait()
        return lock.withLock { (answers, failures) }
    }

    private static func ask(_ socket: Int32) -> String? {
        guard write("GET /berth/v1/ping HTTP/1.1\r\nHost: x\r\n\r\n", to: socket) else { return "write: \(errno)" }
        var text = ""
        while !text.contains("}\n") {
            guard let more = read(from: socket) else { return "read: \(errno) after '\(text)'" }
            text += more
        }
        return text.hasPrefix("HTTP/1.1 200 ") ? nil : text
    }

    /// Sends a request on a connection of its own.
    package static func send(_ request: String, to path: String) -> Int32 {
        let socket = connect(path)
        _ = write(request, to: socket)
        return socket
    }

    /// Everything that comes until the connection ends, which is closed.
    package static func answer(_ socket: Int32) -> String {
        defer { close(socket) }
        var text = ""
        while let more = read(from: socket) { text += more }
        return text
    }

    private static func write(_ text: String, to socket: Int32) -> Bool {
        let bytes = Array(text.utf8)
        return Glibc.send(socket, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count
    }

    /// What comes next; nil at the end.
    package static func read(from socket: Int32) -> String? {
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = recv(socket, &bytes, bytes.count, 0)
        return count > 0 ? String(decoding: bytes[..<count], as: UTF8.self) : nil
    }

    private static func connect(_ path: String) -> Int32 {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.connect(descriptor, $0, size) }
        }
        guard result == 0 else {
            close(descriptor)
            return -1
        }
        return descriptor
    }
}
