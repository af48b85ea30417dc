import EngineModel
import Kernel
import Synchronization

/// Looks at paths that users have named: each may hang with the file system behind it, and then keeps its thread.
///
/// A look goes from one component to the next. Whoever comes to one that is being looked at joins that look, and few looks at a time are
/// in one mount, links followed: what hangs in one takes no thread from the others, by whatever names it is asked for.
package final class PathLooks: Sendable {
    /// What is at a path, with its own name.
    private enum Finding: Sendable {
        case nothing
        case link(to: String)
        case other
    }

    private final class Step: Sendable {
        let path: String
        let mount: String
        let result = Promise<Finding>()
        /// How many wait for it.
        let callers = Mutex(0)

        init(_ path: String, _ mount: String) { (self.path, self.mount) = (path, mount) }
    }

    private struct State {
        /// Those that run or wait for their turn, by path.
        var steps: [String: Step] = [:]
        /// How many run in a mount.
        var running: [String: Int] = [:]
        /// Those that wait for their turn, first come first.
        var queues: [String: [Step]] = [:]
    }

    /// Looks at a time in one mount.
    private static let width = 2
    /// As the kernel has it.
    private static let linkLimit = 40

    private let pool: BlockingPool
    private let state = Mutex(State())

    package init(threads: Int) { pool = BlockingPool(threads: threads) }

    /// Takes nothing more; what hangs is not waited for.
    package func abandon() { pool.abandon() }

    /// Whether something is at `path`, links followed; nil when there is no answer within `deadline`.
    func isThere(_ path: String, within deadline: Duration) async throws -> Bool? {
        let end = Clock.monotonic.now + deadline
        let mounts = Self.mountPoints()
        var left = Self.components(path)[...]
        var place: [Substring] = []
        var links = 0
        while let name = left.popFirst() {
            if name == ".." {
                _ = place.popLast()
                continue
            }
            let next = "/" + (place + [name]).joined(separator: "/")
            guard let finding = try await look(at: next, mount(of: next, mounts), until: end) else { return nil }
            switch finding {
            case .nothing: return false
            case .other: place.append(name)
            case .link(let target):
                links += 1
                guard links <= Self.linkLimit else { return false }
                if target.hasPrefix("/") { place = [] }
                left = (Self.components(target) + left)[...]
            }
        }
        return true
    }

    private static func components(_ path: String) -> [Substring] { path.split(separator: "/").filter { $0 != "." } }

    private func mount(of path: String, _ mounts: Set<String>) -> String {
        var prefix = path[...]
        while !prefix.isEmpty, !mounts.contains(String(prefix)) {
            prefix = prefix[..<(prefix.lastIndex(of: "/") ?? prefix.startIndex)]
        }
        return String(prefix)
    }

    /// Where something is mounted, as the kernel writes it; none where it cannot be read, which leaves one bound for everything.
    private static func mountPoints() -> Set<String> { Set((try? MountPoints.all()) ?? []) }

    // Steps -----------------------------------------------------------------------------------------------------------

    private func look(at path: String, _ mount: String, until end: Timestamp) async throws -> Finding? {
        while true {
            let (step, isOwn) = enter(path, mount)
            defer { leave(step) }
            let left = end - Clock.monotonic.now
            guard left > .zero, let finding = try await step.result.value(within: left) else { return nil }
            // Of a look that was begun before, "nothing" may be what was true before this call.
            if case .nothing = finding, !isOwn { continue }
            return finding
        }
    }

    /// The look at `path` that is under way, else a new one.
    private func enter(_ path: String, _ mount: String) -> (Step, isOwn: Bool) {
        let (step, isOwn, begins) = state.withLock { state -> (Step, Bool, Bool) in
            if let step = state.steps[path] {
                step.callers.withLock { $0 += 1 }
                return (step, false, false)
            }
            let step = Step(path, mount)
            step.callers.withLock { $0 = 1 }
            state.steps[path] = step
            let begins = state.running[mount, default: 0] < Self.width
            if begins { state.running[mount, default: 0] += 1 } else { state.queues[mount, default: []].append(step) }
            return (step, true, begins)
        }
        if begins { begin(step) }
        return (step, isOwn)
    }

    /// One that nobody waits for any more loses its place in the queue.
    private func leave(_ step: Step) {
        state.withLock { state in
            let isWanted = step.callers.withLock { callers in
                callers -= 1
                return callers > 0
            }
            guard !isWanted, let place = state.queues[step.mount]?.firstIndex(where: { $0 === step }) else { return }
            state.queues[step.mount]?.remove(at: place)
            state.steps[step.path] = nil
        }
    }

    private func begin(_ step: Step) {
        let path = step.path
        pool.begin({ Self.finding(path) }) { [self] result in
            let next = state.withLock { state -> Step? in
                state.steps[path] = nil
                if let next = state.queues[step.mount]?.first {
                    state.queues[step.mount]?.removeFirst()
                    return next
                }
                state.queues[step.mount] = nil
                state.running[step.mount, default: 1] -= 1
                if state.running[step.mount] == 0 { state.running[step.mount] = nil }
                return nil
            }
            step.result.resolve(result)
            if let next { begin(next) }
        }
    }

    private static func finding(_ path: String) -> Finding {
        // The text of a link there is not where it leads: the kernel goes itself, and what hangs behind it counts as hanging there.
        let isMagic = path.hasPrefix("/proc/")
        // Whatever the error is: what cannot be looked at cannot be mounted.
        guard let status = try? File.status(path, follow: isMagic) else { return .nothing }
        guard status.kind == .symbolicLink else { return .other }
        let (parent, name) = File.split(path)
        // It was a link a moment ago.
        guard let target = try? RootedDir(parent).readlink(name) else { return .nothing }
        return .link(to: String(decoding: target, as: UTF8.self))
    }
}
