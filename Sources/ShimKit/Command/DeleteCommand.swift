import DocumentTexts
import FoundationEssentials
import Kernel
import ShimModel
import ShimProtocol
import ShimStreams
import SwiftProtobuf

/// containerd's `delete`: removes whatever a shim has left, and says how the container ended as far as anybody knows.
///
/// Works without a shim and when there is nothing to remove.
struct DeleteCommand {
    private let arguments: ShimArguments

    init(_ arguments: ShimArguments) {
        self.arguments = arguments
    }

    func run<B: Backend>(_ backend: B.Type) throws(ShimFault) {
        do throws(KernelError) {
            let current = try WorkingDirectory.current()
            let bundle =
                arguments.bundle.isEmpty
                ? current : arguments.bundle.hasPrefix("/") ? arguments.bundle : "\(current)/\(arguments.bundle)"
            // Of a record that exists before the clean-up: what is killed now did not end by itself.
            let record = ExitRecord.read("\(bundle)/exit.json")
            endLivingShim(of: bundle)
            try cleanUp(backend, BackendContext(namespace: arguments.namespace, id: arguments.id, bundle: bundle))
            removeSocket(of: bundle)
            try BorrowedDescriptor.standardOutput.writeAll(Self.response(record).bytes)
        } catch {
            throw ShimFault("delete", error)
        }
    }

    private func cleanUp<B: Backend>(_ backend: B.Type, _ context: BackendContext) throws(KernelError) {
        do throws(BackendError) {
            try B.cleanUp(context)
        } catch {
            // containerd removes the bundle all the same; what is left is named in its log.
            ShimLog.write("clean-up failed", ("container", context.id), ("error", error.description))
        }
    }

    /// Ends a shim that lives although containerd has lost it, and its container.
    ///
    /// One that does not answer is left: it may be stopped, and what it holds is killed by cgroup next.
    private func endLivingShim(of bundle: String) {
        guard let address = StartCommand.liveAddress(in: bundle),
            var caller = try? ShimCaller(path: String(address.dropFirst(7)))
        else {
            return
        }
        let id = arguments.id
        let kill = TaskKillRequest.with { request in
            request.id = id
            request.signal = UInt32(Signal.kill.rawValue)
            request.all = true
        }
        let isEnded =
            caller.call(.kill, kill, within: .seconds(1))
            && caller.call(.wait, TaskWaitRequest.with { $0.id = id }, within: .seconds(2))
            && caller.call(.delete, TaskDeleteRequest.with { $0.id = id }, within: .milliseconds(500))
            && caller.call(.shutdown, TaskShutdownRequest.with { $0.id = id }, within: .milliseconds(500))
        // One that was about to go when it was found does not answer either, and has ended all the same.
        if !isEnded, StartCommand.liveAddress(in: bundle) != nil {
            ShimLog.write("living shim did not end", ("container", id))
        }
    }

    private func removeSocket(of bundle: String) {
        guard let text = try? File.readText("\(bundle)/\(StartCommand.addressFile)", limit: 4096),
            text.hasPrefix("unix:///"), StartCommand.liveAddress(in: bundle) == nil
        else {
            return
        }
        // A socket that nobody listens on does no harm where it is.
        _ = try? File.remove(String(text.dropFirst(7)))
    }

    /// The record's end, or SIGKILL's, which is what a container without a shim gets.
    private static func response(_ record: ExitRecord.Summary?) -> TaskDeleteResponse {
        TaskDeleteResponse.with { response in
            response.pid = UInt32(record?.pid ?? 0)
            response.exitStatus = record?.number ?? 137
            response.exitedAt = (record?.exitedAt ?? .now).message
        }
    }
}

extension ExitRecord {
    /// What a record says, for those who only know numbers.
    struct Summary {
        let pid: Int32
        let number: UInt32
        let exitedAt: Timestamp
    }

    private struct Document: Decodable {
        struct Status: Decodable {
            let code: UInt32?
            let signal: UInt32?
        }

        let pid: Int32
        let status: Status
        let exitedAt: String
    }

    /// Reads a record; nil when there is none or it is none.
    static func read(_ path: String) -> Summary? {
        guard let bytes = try? File.read(path, limit: 64 << 10),
            let document = try? JSONDecoder().decode(Document.self, from: Data(bytes))
        else {
            return nil
        }
        // Of a record that was changed nothing is known but that there was an end.
        let told = document.status.code ?? document.status.signal.map { 128 + $0 }
        let number = CheckedObject.isSound(bytes) ? told ?? 255 : 255
        return Summary(pid: document.pid, number: number, exitedAt: Timestamp(document.exitedAt) ?? .now)
    }
}
