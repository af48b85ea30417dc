import ShimStreams
import ContainerIO
import Kernel
import ShimModel
import ShimProtocol
import SwiftProtobuf

// berth.shim.v1.Supervisor.
extension ShimServer {
    /// The version of the contract in docs/shim-protocol.md.
    static let protocolVersion: UInt32 = 1
    /// What ShimKit can do with any backend.
    static let capabilities = [
        "journal", "attach", "reopen-log", "restart", "health", "exec-timeout", "exec-ring", "check-files",
    ]
    /// What it can do with one that can be restored.
    static let restoringCapabilities = ["upgrade", "adopt"]
    /// Longest wait that a poll may ask for.
    static let longestPoll = Duration.seconds(600)

    /// Handles a call of the Supervisor service.
    func supervisor(
        _ method: SupervisorMethod,
        _ call: TTRPCServerConnection.Call,
        _ waiter: WaiterID
    ) throws(RPCError) -> [UInt8]? {
        switch method {
        case .info:
            return info().bytes
        case .events:
            return try events(call.decode(ShimEventsRequest.self), waiter)?.bytes
        case .acknowledge:
            try journal.acknowledge(call.decode(ShimAcknowledgeRequest.self).seq)
            afterAcknowledgement?()
            return []
        case .reopenLog:
            try reopenLog()
            return []
        case .reportExit:
            try reportExit(call.decode(ShimReportExitRequest.self))
            return []
        case .setPolicy:
            try setPolicy(call.decode(ShimSetPolicyRequest.self))
            return []
        case .checkFiles:
            return checkFiles().bytes
        }
    }

    private func info() -> ShimInfoResponse {
        ShimInfoResponse.with { response in
            response.version = information.version
            response.protocol = Self.protocolVersion
            response.backend = information.name
            response.pid = UInt32(Credentials.processID)
            response.startedAt = configuration.startedAt.message
            response.capabilities = Self.capabilities + information.capabilities + (hasPolicy ? ["restart-policy"] : [])
            if configuration.hasJournal, type(of: backend).isRestorable {
                response.capabilities += Self.restoringCapabilities
            }
            response.lastSeq = journal.lastSeq
            response.descriptorsGeneration = held.generation
            response.oldestState = StateDocument.versions.oldest
            response.newestState = StateDocument.versions.newest
        }
    }

    private func events(_ request: ShimEventsRequest, _ waiter: WaiterID) throws(RPCError) -> ShimEventsResponse? {
        let isBehind =
            journal.lastSeq > request.afterSeq
            || request.hasKnownProbes && health.map { $0.state.probes != request.knownProbes } ?? false
            || request.descriptorsGeneration != 0 && request.descriptorsGeneration != held.generation
        if isBehind || request.waitMilliseconds == 0 {
            return eventsResponse(after: request.afterSeq, withHealth: request.hasKnownProbes)
        }
        let wait = min(.milliseconds(Int64(request.waitMilliseconds)), Self.longestPoll)
        let timer = loop.after(wait) { [weak self] in
            self?.answerPoll(waiter)
        }
        polls.append(
            Poll(
                waiter: waiter,
                after: request.afterSeq,
                generation: request.descriptorsGeneration,
                wantsHealth: request.hasKnownProbes,
                timer: timer
            )
        )
        return nil
    }

    /// Answers every poll; called when there is news.
    func answerPolls() {
        let answered = polls
        polls = []
        for poll in answered {
            loop.cancel(poll.timer)
            answer(poll)
        }
    }

    /// Answers the polls of callers that want to hear of probes.
    func answerHealthPolls() {
        for poll in polls where poll.wantsHealth {
            loop.cancel(poll.timer)
            answerPoll(poll.waiter)
        }
    }

    /// Answers the polls of callers that have heard of another generation of descriptors.
    func answerPolls(whereGenerationIsNot generation: UInt64) {
        for poll in polls where poll.generation != 0 && poll.generation != generation {
            loop.cancel(poll.timer)
            answerPoll(poll.waiter)
        }
    }

    private func answerPoll(_ waiter: WaiterID) {
        guard let index = polls.firstIndex(where: { $0.waiter == waiter }) else {
            return
        }
        answer(polls.remove(at: index))
    }

    private func answer(_ poll: Poll) {
        answer(poll.waiter, .success(eventsResponse(after: poll.after, withHealth: poll.wantsHealth).bytes))
    }

    private func eventsResponse(after seq: UInt64, withHealth: Bool) -> ShimEventsResponse {
        ShimEventsResponse.with { response in
            response.events = journal.events(after: seq)
            response.lastSeq = journal.lastSeq
            response.descriptorsGeneration = held.generation
            if withHealth, let health { response.health = health.state.report }
        }
    }

    /// Whether the container was created with a restart policy, be it "no".
    private var hasPolicy: Bool {
        guard let creation, let request = try? TaskCreateRequest(serializedBytes: creation), request.hasOptions else {
            return false
        }
        return (try? request.options.decode(ShimCreateOptions.self))?.hasRestart ?? false
    }

    private func setPolicy(_ request: ShimSetPolicyRequest) throws(RPCError) {
        perform(try table.setPolicy(request.hasRestart ? request.restart : nil, stopped: request.stopped))
        saveState()
    }

    private func reopenLog() throws(RPCError) {
        guard let log = streams.log else {
            throw .failedPrecondition("the container has no log")
        }
        do throws(ContainerIOError) {
            try log.reopen()
        } catch {
            throw .failed(error.code, "reopen log: \(error)")
        }
    }
}
