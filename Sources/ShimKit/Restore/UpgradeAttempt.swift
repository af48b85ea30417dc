import Kernel
import ShimModel
import ShimProtocol
import ShimStreams

/// A new program that shows whether it can read the state: `-check-state` in a process of its own.
final class UpgradeAttempt {
    /// The most that is read of what the program says.
    private static let maximumOutput = 4096

    /// The new program, sealed.
    let program: SharedDescriptor
    /// Its argument 0.
    let name: String
    /// Who waits for the answer.
    let exchange: DescriptorExchange
    /// Of the process that tries.
    let pid: Int32
    private let pidfd: SharedDescriptor
    private let output: SharedDescriptor
    private let expected: String
    private let loop: EventLoop
    private let onResult: (RPCError?) -> Void
    private var said: [UInt8] = []
    private var watches: [EventLoop.Watch] = []
    private var timer: EventLoop.Timer?

    /// Starts the program.
    ///
    /// - Parameters:
    ///   - program: sealed.
    ///   - name: its argument 0.
    ///   - state: as the program will get it.
    ///   - arguments: of a shim of this container, without a command.
    ///   - exchange: who waits for the answer.
    ///   - loop: watches the process.
    ///   - onResult: called once, with why the program is of no use, or nil.
    /// - Throws: `KernelError` when the program cannot be executed.
    init(
        program: SharedDescriptor,
        name: String,
        state: [UInt8],
        arguments: [String],
        exchange: DescriptorExchange,
        loop: EventLoop,
        onResult: @escaping (RPCError?) -> Void
    ) throws(KernelError) {
        (self.program, self.name, self.exchange) = (program, name, exchange)
        (self.loop, self.onResult) = (loop, onResult)
        expected = StateCheck.answer(state)
        let memory = SharedDescriptor(try SealedMemory.make("berth-state", state))
        let (reader, writer) = try Pipe(nonBlocking: true).ends()
        output = reader
        var spawn = Spawn(arguments: [name] + arguments + ["-check-state"], environment: Daemon.environment())
        spawn.descriptors = [1: writer.raw, 2: writer.raw, StateCheck.descriptor: memory.raw]
        (pid, pidfd) = try withExtendedLifetime((memory, writer)) { () throws(KernelError) in
            let child = try spawn.start(program.raw)
            return (child.pid, child.sharedPidfd())
        }
    }

    /// Waits for what the program says.
    func begin() throws(KernelError) {
        watches.append(try loop.watch(pidfd.raw, .readable) { [weak self] _ in self?.reap() })
        timer = loop.after(ShimLimits.stateCheck) { [weak self] in
            self?.finish(.timedOut("the new program did not read the state within \(ShimLimits.stateCheck)"))
        }
    }

    private func reap() {
        guard let status = try? Pidfd.reapIfEnded(pidfd.raw) else {
            return
        }
        ended(status)
    }

    /// The process has ended and was reaped.
    func ended(_ status: ExitStatus) {
        // What does not fit into the pipe is cut: one line was asked for.
        said = (try? output.read(upTo: Self.maximumOutput)) ?? []
        let text = String(decoding: said, as: UTF8.self)
        guard status == .exited(0), text == expected else {
            let reason = text.split(separator: "\n").first.map(String.init) ?? "no word"
            return finish(.failedPrecondition("the new program does not take the state (\(status)): \(reason)"))
        }
        finish(nil)
    }

    private func finish(_ error: RPCError?) {
        guard let timer else {
            return
        }
        loop.cancel(timer)
        self.timer = nil
        for watch in watches {
            loop.unwatch(watch)
        }
        watches = []
        if error != nil {
            // One that has ended is fine; one that has not must not be left.
            _ = try? Pidfd.send(.kill, to: pidfd.raw)
        }
        onResult(error)
    }
}

/// What `-check-state` reads and says.
enum StateCheck {
    /// Where the state is.
    static let descriptor: RawDescriptor = 3

    /// What a program says that reads this state: nobody says it by chance.
    static func answer(_ state: [UInt8]) -> String {
        "state accepted \(String(StateDocument.fingerprint(state), radix: 16))\n"
    }
}
