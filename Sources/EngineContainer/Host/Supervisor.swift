import EngineModel
import Kernel
import NIOPosix
import Synchronization

/// Where all work that outlives a request runs: one task group, begun by ``Engine/run()`` and ended with it.
///
/// A job that a request waits for is not cancelled with the request: a client that goes away in the middle of a start must
/// not leave half of one.
package final class Supervisor: Sendable {
    package typealias Job = @Sendable () async -> Void

    private let jobs: AsyncStream<Job>
    private let input: AsyncStream<Job>.Continuation

    package init() {
        (jobs, input) = AsyncStream.makeStream(of: Job.self, bufferingPolicy: .unbounded)
    }

    /// Runs jobs until ``stop()`` or cancellation, then cancels those that still run and waits for them.
    package func run() async {
        await withDiscardingTaskGroup { group in
            for await job in jobs { group.addTask { await job() } }
            group.cancelAll()
        }
    }

    /// Takes no more jobs.
    package func stop() {
        input.finish()
    }

    /// Starts a job that nobody waits for.
    package func start(_ job: @escaping Job) {
        input.yield(job)
    }

    /// Runs `body` as a job and waits for its result, whatever happens to the caller's task.
    package func complete<T: Sendable>(_ body: @escaping @Sendable () async throws -> T) async throws -> T {
        try await withCheckedThrowingContinuation { continuation in
            let result = input.yield {
                do {
                    continuation.resume(returning: try await body())
                } catch {
                    continuation.resume(throwing: error)
                }
            }
            if case .terminated = result {
                continuation.resume(throwing: EngineError.ending)
            }
        }
    }
}

extension EngineError {
    /// Nothing more is done in this life.
    static let ending = EngineError(.unavailable, "the engine is shutting down")
}

/// Threads for calls that block: files, mounts, sockets that answer at once or never.
package final class BlockingPool: Sendable {
    private let pool: NIOThreadPool

    package init(threads: Int) {
        pool = NIOThreadPool(numberOfThreads: threads)
        pool.start()
    }

    package func run<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
        try await pool.runIfActive(body)
    }

    /// Runs a body for a caller that may be cancelled: what is begun is not left half done.
    package func complete<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
        try await withCheckedThrowingContinuation { continuation in begin(body) { continuation.resume(with: $0) } }
    }

    /// Begins a body that nobody waits for; how it ends is told on its thread.
    package func begin<T>(
        _ body: @escaping @Sendable () throws -> T,
        _ ended: @escaping @Sendable (Result<T, any Error>) -> Void
    ) {
        pool.submit { state in
            ended(state == .active ? Result(catching: body) : .failure(CancellationError()))
        }
    }

    /// Takes nothing more; what runs is not waited for.
    package func abandon() {
        pool.shutdownGracefully { _ in }
    }

    package func shutdown() async {
        // A pool that cannot be shut down is one that was: nothing is left to do.
        try? await pool.shutdownGracefully()
    }
}
