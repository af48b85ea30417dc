package import Kernel
import Synchronization

/// One thread that waits for any number of descriptors to become ready, for tasks that must not block.
package final class DescriptorWaiter: Sendable {
    private struct Waiting {
        /// A duplicate, so that one descriptor can be waited for by several.
        var descriptor: SharedDescriptor
        var continuation: CheckedContinuation<Bool, Never>
    }

    private struct State {
        var next: UInt64 = 1
        var waiting: [UInt64: Waiting] = [:]
        var stopped = false
    }

    private let epoll: SharedEpoll
    private let wake: SharedEvent
    private let state = Mutex(State())

    /// `~Copyable` values shared by the thread and the callers; both are safe to use from several threads.
    private final class SharedEpoll: Sendable {
        let epoll: Epoll
        init() throws { epoll = try Epoll() }
    }

    private final class SharedEvent: Sendable {
        let event: EventFd
        init() throws { event = try EventFd() }
    }

    package init() throws {
        epoll = try SharedEpoll()
        wake = try SharedEvent()
        try epoll.epoll.add(wake.event.raw, .readable, token: 0)
    }

    /// The thread's body; returns after ``stop()``.
    package func loop() {
        var events: [Epoll.Event] = []
        while !state.withLock({ $0.stopped }) {
            do {
                try epoll.epoll.wait(timeout: nil, into: &events)
            } catch {
                break
            }
            for event in events {
                if event.token == 0 { _ = wake.event.drain() } else { finish(event.token, ready: true) }
            }
        }
        let left = state.withLock { state in
            state.stopped = true
            return Array(state.waiting.keys)
        }
        for token in left { finish(token, ready: false) }
    }

    package func stop() {
        state.withLock { $0.stopped = true }
        wake.event.signal()
    }

    /// Waits until `descriptor` is readable or hung up.
    ///
    /// False after cancellation of the task or ``stop()``.
    ///
    /// The caller keeps the descriptor open until this is called; any number may wait for one.
    package func readable(_ descriptor: RawDescriptor) async -> Bool {
        await wait(for: .readable, of: descriptor)
    }

    /// Waits until `descriptor` is ready or hung up; nil when it is not within `deadline`, false as of ``readable(_:)``.
    package func ready(
        _ descriptor: RawDescriptor,
        for readiness: Readiness,
        within deadline: Duration
    ) async -> Bool? {
        await withTaskGroup(of: Bool?.self) { group in
            group.addTask { await self.wait(for: readiness, of: descriptor) }
            group.addTask {
                do { try await Task.sleep(for: deadline) } catch { return false }
                return nil
            }
            defer { group.cancelAll() }
            return await group.next() ?? nil
        }
    }

    private func wait(for readiness: Readiness, of descriptor: RawDescriptor) async -> Bool {
        let token = state.withLock { state in
            defer { state.next += 1 }
            return state.next
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let registered = state.withLock { state in
                    guard !state.stopped, !Task.isCancelled else { return false }
                    do {
                        let own = SharedDescriptor(try BorrowedDescriptor(descriptor).duplicate())
                        state.waiting[token] = Waiting(descriptor: own, continuation: continuation)
                        try epoll.epoll.add(own.raw, readiness, token: token)
                        return true
                    } catch {
                        state.waiting[token] = nil
                        return false
                    }
                }
                if !registered { continuation.resume(returning: false) }
            }
        } onCancel: {
            finish(token, ready: false)
        }
    }

    private func finish(_ token: UInt64, ready: Bool) {
        let found = state.withLock { state -> Waiting? in
            guard let found = state.waiting.removeValue(forKey: token) else { return nil }
            // It was added under this lock and nobody else removes it; an error would mean that it is closed already.
            try? epoll.epoll.remove(found.descriptor.raw)
            return found
        }
        found?.continuation.resume(returning: ready)
    }
}
