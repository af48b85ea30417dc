import Kernel
import ShimModel
import ShimProtocol

/// `-check-state`: whether this program can take the place of the one whose state is in descriptor 3.
enum CheckStateCommand {
    /// Says the word that is expected, or throws why not.
    static func run(_ information: BackendInformation) throws(ShimFault) {
        do throws(KernelError) {
            let bytes = try SealedMemory.read(StateCheck.descriptor, limit: StateDocument.maximumByteCount)
            try check(bytes, information)
            try BorrowedDescriptor.standardOutput.writeAll(StateCheck.answer(bytes))
        } catch {
            throw ShimFault("check state", error)
        }
    }

    private static func check(_ bytes: [UInt8], _ information: BackendInformation) throws(KernelError) {
        do throws(StateError) {
            let state = try StateDocument.decode(bytes)
            try RestoredState.check(state, information)
            _ = try TaskTable(state)
        } catch {
            throw .failed("read state", .invalid, detail: error.description)
        }
    }
}
