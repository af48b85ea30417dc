import Kernel
import ShimModel
import ShimProtocol
import ShimStreams
import SwiftProtobuf

// What a manager holds so that a successor of this shim could go on.
extension ShimServer {
    /// Some descriptor came or went: who polls is told when the present event is over.
    func descriptorsChanged() {
        guard configuration.hasJournal, !descriptorsAreStale else {
            return
        }
        descriptorsAreStale = true
        loop.soon { [weak self] in self?.refreshDescriptors() }
    }

    /// Looks at what there is now.
    func refreshDescriptors() {
        guard descriptorsAreStale else {
            return
        }
        descriptorsAreStale = false
        let behind = handles[.initial]?.io.clientsBehind ?? []
        if behind != clientsBehind {
            clientsBehind = behind
            saveState()
        }
        if held.update(heldDescriptors()) {
            answerPolls(whereGenerationIsNot: held.generation)
        }
    }

    /// Answers a Hold request.
    func hold(_ request: ShimHoldRequest) -> (ShimDescriptorResponse, [SharedDescriptor]) {
        refreshDescriptors()
        // A number from the future is another shim's: it says nothing of these.
        let after = request.after <= held.generation ? request.after : 0
        let (names, kept) = held.names(after: after)
        let response = ShimDescriptorResponse.with { response in
            response.hold.names = names
            response.hold.generation = held.generation
            response.hold.kept = UInt32(kept)
        }
        return (response, held.descriptors(from: kept))
    }

    private func heldDescriptors() -> NamedDescriptors {
        var names = NamedDescriptors()
        names.add(DescriptorName.listener, configuration.listener)
        names.add(DescriptorName.descriptorListener, configuration.descriptorListener)
        for (key, handle) in handles {
            collect(key, handle, into: &names)
        }
        for (name, descriptor) in backend.heldDescriptors {
            names.add(DescriptorName.backend + name, descriptor)
        }
        return names
    }

    /// The descriptors of one process.
    func collect(_ key: ProcessKey, _ handle: Handle, into names: inout NamedDescriptors) {
        let prefix = DescriptorName.process(key)
        // Who goes on after this shim would take the end of what stands in for it for the end of the process.
        if !handle.isGone { names.add(prefix + "pidfd", handle.process?.pidfd) }
        handle.io.collect(prefix, into: &names)
    }
}
