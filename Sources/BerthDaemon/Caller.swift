import DockerTypes
import Kernel

/// Whoever asked for a change of the program, on a connection that has left HTTP.
enum Caller {
    /// Answers with what happened, and closes the connection.
    static func answer(_ connection: SharedDescriptor?, _ upgrade: BerthUpgrade) {
        guard let body = try? DockerJSON.encode(upgrade) else { return }  // a document of plain values always encodes
        send(connection, "200 OK", body)
    }

    /// Answers with why nothing happened, and closes the connection.
    static func refuse(_ connection: SharedDescriptor?, _ problem: String) {
        var error = ErrorResponse()
        error.message = problem
        guard let body = try? DockerJSON.encode(error) else { return }  // the same
        send(connection, "500 Internal Server Error", body)
    }

    private static func send(_ connection: SharedDescriptor?, _ status: String, _ body: [UInt8]) {
        let head =
            "HTTP/1.1 \(status)\r\nContent-Type: application/json\r\nContent-Length: \(body.count)\r\n"
            + "Connection: close\r\n\r\n"
        // Fits into an empty socket's buffer, so it does not wait; a caller that has gone needs no answer.
        try? connection?.writeAll(Array(head.utf8) + body)
    }
}
