import Kernel
import ShimModel
import ShimProtocol
import ShimStreams

/// The second half of an upgrade: this program takes the place of another one, or gives it back.
struct Resumption {
    private let arguments: ShimArguments
    private let memory: SharedDescriptor

    /// - Parameters:
    ///   - arguments: of this program.
    ///   - memory: the state.
    init(_ arguments: ShimArguments, memory: RawDescriptor) {
        self.arguments = arguments
        self.memory = SharedDescriptor(Descriptor(adopting: memory))
    }

    func run<B: Backend>(_ backend: B.Type) throws(ShimFault) {
        do throws(StateError) {
            try Daemon.serve(takeOver(backend))
        } catch {
            throw ShimFault("resume", error)
        }
    }

    /// The server; nothing else of the state, and none of the descriptors that were only for this, is left after it.
    private func takeOver<B: Backend>(_ backend: B.Type) throws(StateError) -> ShimServer {
        let state = try state()
        let names = try open(state.descriptors)
        do throws(StateError) {
            let server = try restore(backend, state, names)
            answer(names)
            return server
        } catch {
            try giveBack(state, names, because: error)
            throw error
        }
    }

    private func state() throws(StateError) -> ShimState {
        let bytes: [UInt8]
        do throws(KernelError) {
            try memory.setCloseOnExec(true)
            bytes = try SealedMemory.read(memory.raw, limit: StateDocument.maximumByteCount)
        } catch {
            throw .failed(error.code, error.description)
        }
        return try StateDocument.decode(bytes)
    }

    private func open(_ descriptors: [ShimNamedDescriptor]) throws(StateError) -> NamedDescriptors {
        var names = NamedDescriptors()
        // Several names may be of one descriptor, which is owned once.
        var owned: [Int32: SharedDescriptor] = [:]
        do throws(KernelError) {
            for entry in descriptors where entry.number > 2 {
                let descriptor = owned[entry.number] ?? SharedDescriptor(Descriptor(adopting: entry.number))
                owned[entry.number] = descriptor
                try descriptor.setCloseOnExec(true)
                names.add(entry.name, descriptor)
            }
        } catch {
            throw .failed(error.code, "take over descriptors: \(error)")
        }
        return names
    }

    private func restore<B: Backend>(
        _ backend: B.Type,
        _ state: ShimState,
        _ names: NamedDescriptors
    ) throws(StateError) -> ShimServer {
        guard let listener = names[DescriptorName.listener],
            let descriptorListener = names[DescriptorName.descriptorListener]
        else {
            throw .damaged("no listening sockets")
        }
        let context = BackendContext(namespace: arguments.namespace, id: arguments.id, bundle: arguments.bundle)
        let configuration = ShimConfiguration(
            context: context,
            listener: listener,
            descriptorListener: descriptorListener,
            token: try token(names),
            startedAt: Timestamp(state.shimStartedAt),
            lock: names[DescriptorName.lock],
            isDebug: arguments.isDebug
        )
        do throws(ShimFault) {
            try Daemon(arguments).becomeDaemon()
        } catch {
            throw .failed(.internal, error.description)
        }
        let restored = try RestoredState(.upgrade, state, names)
        try restored.check(context, B.information)
        return try Daemon.restore(backend, restored, configuration)
    }

    private func token(_ names: NamedDescriptors) throws(StateError) -> [UInt8]? {
        guard let memory = names[DescriptorName.token] else {
            return nil
        }
        do throws(KernelError) {
            return try SealedMemory.read(memory.raw, limit: 4096)
        } catch {
            throw .failed(error.code, "token: \(error)")
        }
    }

    /// Lets the program go on that was there before.
    ///
    /// - Throws: Why that is not possible either; the shim ends then, and its manager finds the container without one.
    private func giveBack(
        _ state: ShimState,
        _ names: NamedDescriptors,
        because error: StateError
    ) throws(StateError) {
        ShimLog.write("upgrade undone", ("error", error.description))
        guard arguments.undone.isEmpty, let program = names[DescriptorName.oldProgram] else {
            return
        }
        var configuration = [state.program, "-sealed", "-undone", error.description]
        configuration += ["-namespace", arguments.namespace, "-id", arguments.id, "-bundle", arguments.bundle]
        do throws(KernelError) {
            try ProgramChange.run(program, configuration, state: memory, keeping: names)
        } catch {
            throw .failed(error.code, "give back to the old program: \(error)")
        }
    }

    /// Tells who asked for the upgrade how it went.
    private func answer(_ names: NamedDescriptors) {
        guard let socket = names[DescriptorName.answer] else {
            return
        }
        let reason = arguments.undone
        DescriptorExchange.answer(
            reason.isEmpty ? nil : .failedPrecondition("upgrade undone: \(reason)"),
            on: socket
        )
    }
}
