import Client

/// A stream that outlives the manager that gives it: when one breaks off, the next one is asked to go on.
struct Resumption {
    private let client: APIClient

    /// A stream of `client`.
    init(_ client: APIClient) {
        self.client = client
    }

    /// Reads until the stream has come to its own end.
    ///
    /// - Parameters:
    ///   - open: Asks for the stream, from where it broke off the last time.
    ///   - read: Reads to the end and calls its second parameter whenever something came.
    /// - Throws: What either throws, when another attempt does not cure it or patience is over.
    func run(
        open: () throws -> HTTPConnection,
        read: (HTTPConnection, () -> Void) throws -> Void
    ) throws {
        var outage = Outage(patience: ExitWaiter.patience, note: client.onOutage)
        while true {
            do {
                let connection = try open()
                try read(connection) { outage.end() }
                return
            } catch let error as ClientError {
                guard error.mayPass(isRepeatable: true), outage.wait() else { throw error }
            }
        }
    }
}
