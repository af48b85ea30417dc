import ContainerIO
import Kernel
import ShimModel
import ShimProtocol
import ShimStreams
import SwiftProtobuf

// The program is replaced by another one; process, children and descriptors stay.
extension ShimServer {
    /// Tries a new program, and replaces this one by it when that has shown that it reads the state.
    func beginUpgrade(
        _ request: ShimUpgradeRequest,
        _ program: SharedDescriptor,
        _ exchange: DescriptorExchange
    ) throws(RPCError) {
        guard upgrade == nil, !isStopping else {
            throw .failedPrecondition(isStopping ? "the shim is about to end" : "another upgrade is under way")
        }
        guard type(of: backend).isRestorable else {
            throw .unimplemented("upgrade: backend \(information.name) cannot be restored")
        }
        guard (Array(handles.values).map(\.io) + lingering).allSatisfy(\.isRestorable) else {
            throw .failedPrecondition("upgrade: a process's streams are named pipes of a client")
        }
        let state = try backendCall { () throws(BackendError) in
            StateDocument.encode(try self.state(isComplete: true))
        }
        do throws(KernelError) {
            let sealed = try SealedExecutable(program.procPath)
            let attempt = try UpgradeAttempt(
                program: SharedDescriptor(sealed.intoDescriptor()),
                name: request.program.isEmpty ? CommandLine.arguments.first ?? "shim" : request.program,
                state: state,
                arguments: configuration.arguments,
                exchange: exchange,
                loop: loop
            ) { [weak self] error in
                // Between two events nothing is half done.
                self?.loop.soon { [weak self] in self?.endUpgrade(error) }
            }
            upgrade = attempt
            try attempt.begin()
        } catch {
            upgrade = nil
            throw .failedPrecondition("upgrade: \(error)")
        }
    }

    private func endUpgrade(_ error: RPCError?) {
        guard let attempt = upgrade else {
            return
        }
        upgrade = nil
        var reason = error
        if reason == nil {
            do throws(RPCError) {
                try replaceProgram(attempt)
            } catch {
                reason = error
            }
        }
        ShimLog.write("upgrade failed", ("error", reason?.message ?? ""))
        attempt.exchange.answer(reason)
    }

    /// Executes the new program; returns only to throw, with everything as it was.
    private func replaceProgram(_ attempt: UpgradeAttempt) throws(RPCError) {
        do throws(KernelError) {
            var names = openDescriptors()
            names.add(DescriptorName.answer, attempt.exchange.socket)
            names.add(
                DescriptorName.token,
                try configuration.token.map { token throws(KernelError) in
                    SharedDescriptor(try SealedMemory.make("berth-token", token))
                }
            )
            names.add(DescriptorName.oldProgram, SharedDescriptor(try SealedExecutable().intoDescriptor()))
            var state: ShimState
            do throws(BackendError) {
                state = try self.state(isComplete: true)
            } catch {
                throw .failed("save state", error.errno ?? .invalid, detail: error.description)
            }
            state.descriptors = names.entries.map { name, descriptor in
                ShimNamedDescriptor.with { ($0.name, $0.number) = (name, descriptor.raw) }
            }
            let memory = SharedDescriptor(try SealedMemory.make("berth-state", StateDocument.encode(state)))
            try ProgramChange.run(
                attempt.program,
                [attempt.name, "-sealed"] + configuration.arguments,
                state: memory,
                keeping: names
            )
        } catch {
            throw .failedPrecondition("upgrade: \(error)")
        }
    }
}

/// One program in the place of another.
enum ProgramChange {
    /// Executes a program that takes a state over; returns only to throw.
    ///
    /// - Parameters:
    ///   - program: what to execute.
    ///   - arguments: its name, and those of a shim of this container without a command.
    ///   - state: read by the program.
    ///   - names: descriptors that stay open.
    /// - Throws: `KernelError`; everything is as it was.
    static func run(
        _ program: SharedDescriptor,
        _ arguments: [String],
        state: SharedDescriptor,
        keeping names: NamedDescriptors
    ) throws(KernelError) {
        let kept = names.entries.map(\.descriptor) + [state]
        defer {
            // A descriptor of ours that exec must not pass on to a container's process.
            for descriptor in kept { try? descriptor.setCloseOnExec(true) }
        }
        for descriptor in kept { try descriptor.setCloseOnExec(false) }
        try Exec.replace(
            program.raw,
            arguments: ArgumentVector(arguments + ["-resume", String(state.raw), "serve"]),
            environment: ArgumentVector(Daemon.environment())
        )
    }
}

extension ShimConfiguration {
    /// The arguments of a shim of this container, without a command.
    var arguments: [String] {
        ["-namespace", context.namespace, "-id", context.id, "-bundle", context.bundle] + (isDebug ? ["-debug"] : [])
    }
}
