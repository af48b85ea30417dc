import ContainerIO
import Kernel

/// Lets ContainerIO's sources live on the shim's loop.
package final class StdioWatcher: StdioLoop {
    private let loop: EventLoop
    private var watches: [ObjectIdentifier: EventLoop.Watch] = [:]
    private var timers: [ObjectIdentifier: EventLoop.Timer] = [:]

    private let onChange: () -> Void

    package init(loop: EventLoop, onChange: @escaping () -> Void) {
        self.loop = loop
        self.onChange = onChange
    }

    func descriptorsChanged() {
        onChange()
    }

    func add(_ source: any StdioSource) {
        guard let interest = source.interest else {
            return
        }
        do throws(KernelError) {
            watches[ObjectIdentifier(source)] = try loop.watch(source.descriptor, interest) { [weak source] readiness in
                source?.ready(readiness)
            }
        } catch {
            ShimLog.write("watch of a stream failed", ("error", error.description))
        }
    }

    func update(_ source: any StdioSource) {
        guard let interest = source.interest else {
            return remove(source)
        }
        guard let watch = watches[ObjectIdentifier(source)] else {
            return add(source)
        }
        do throws(KernelError) {
            try loop.change(watch, interest)
        } catch {
            ShimLog.write("watch of a stream failed", ("error", error.description))
        }
    }

    func schedule(_ stdio: ProcessStdio, at deadline: Timestamp) {
        let id = ObjectIdentifier(stdio)
        if let timer = timers[id] {
            loop.cancel(timer)
        }
        timers[id] = loop.after(deadline - Clock.monotonic.now) { [weak self, weak stdio] in
            self?.timers[id] = nil
            stdio?.tick(now: Clock.monotonic.now)
        }
    }

    func remove(_ source: any StdioSource) {
        if let watch = watches.removeValue(forKey: ObjectIdentifier(source)) {
            loop.unwatch(watch)
        }
    }
}
