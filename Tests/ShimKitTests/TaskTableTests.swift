import Kernel
import ShimKit
import ShimModel
import ShimProtocol
import Testing

@Suite struct TaskTableTests {
    typealias Effect = TaskTable.Effect

    static let time = Timestamp(seconds: 1_700_000_000, nanoseconds: 5)

    /// A table whose container runs.
    static func running(execs: [String] = []) throws -> TaskTable {
        var table = TaskTable()
        _ = table.created(id: "c", bundle: "/b", pid: 10, stdio: StdioPaths())
        _ = table.started(.initial, pid: 10, at: time)
        for (index, id) in execs.enumerated() {
            _ = try table.addExec(id, stdio: StdioPaths())
            _ = table.started(.exec(id), pid: Int32(20 + index), at: time)
        }
        return table
    }

    static func exit(_ status: ProcessExit.Status = .code(0), started: Bool = true) -> ProcessExit {
        ProcessExit(status: status, startedAt: started ? time : nil, exitedAt: time)
    }

    static func refused(_ body: () throws -> Void) -> ErrorCode? {
        do {
            try body()
            return nil
        } catch {
            return (error as? RPCError)?.code
        }
    }

    @Test func createAndStartAreAnnouncedInOrder() {
        var table = TaskTable()
        #expect(
            table.created(id: "c", bundle: "/b", pid: 10, stdio: StdioPaths())
                == [.publish(TaskEvent(.created, pid: 10))]
        )
        #expect(table.started(.initial, pid: 10, at: Self.time) == [.publish(TaskEvent(.started, pid: 10))])
    }

    @Test func endOfInitIsKilledDrainedRecordedPublishedAnswered() throws {
        var table = try Self.running()
        let waiter = WaiterID(connection: 1, stream: 3)
        #expect(try table.wait(.initial, waiter) == nil)
        let exit = Self.exit(.code(42))
        #expect(table.reaped(.initial, .code(42), at: Self.time, oomOwner: nil) == [.killAll, .drain(.initial)])
        #expect(try table.status(.initial) == .running)
        #expect(
            table.drained(.initial) == [
                .writeExitRecord(exit, pid: 10), .publish(TaskEvent(.exited(exit), pid: 10)), .answer([waiter], exit),
            ]
        )
        #expect(try table.status(.initial) == .stopped)
        #expect(try table.wait(.initial, waiter) == exit)
    }

    @Test func oomIsAnnouncedBeforeTheEndAndRecorded() throws {
        var table = try Self.running()
        let effects = table.reaped(.initial, .signal(9), at: Self.time, oomOwner: "/g")
        #expect(effects.first == .publish(TaskEvent(.outOfMemory, pid: 10)))
        guard case .writeExitRecord(let exit, _) = table.drained(.initial).first else {
            Issue.record("no exit record")
            return
        }
        #expect(exit.oomKilled)
        #expect(exit.oomOwner == "/g")
    }

    @Test func initWaitsForEveryExec() throws {
        var table = try Self.running(execs: ["a", "b"])
        _ = table.reaped(.initial, .code(0), at: Self.time, oomOwner: nil)
        #expect(table.drained(.initial) == [.awaitExecs])
        #expect(table.reaped(.exec("a"), .signal(9), at: Self.time, oomOwner: nil) == [.drain(.exec("a"))])
        let killed = Self.exit(.signal(9))
        #expect(table.drained(.exec("a")) == [.publish(TaskEvent(.exited(killed), key: .exec("a"), pid: 20))])
        _ = table.reaped(.exec("b"), .signal(9), at: Self.time, oomOwner: nil)
        #expect(
            table.drained(.exec("b")) == [
                .publish(TaskEvent(.exited(killed), key: .exec("b"), pid: 21)),
                .writeExitRecord(Self.exit(), pid: 10),
                .publish(TaskEvent(.exited(Self.exit()), pid: 10)),
            ]
        )
        #expect(table.abandonExecs(at: Self.time).isEmpty)
    }

    @Test func execThatDoesNotDieEndsAsUnknownAndReleasesInit() throws {
        var table = try Self.running(execs: ["a"])
        _ = table.reaped(.initial, .code(0), at: Self.time, oomOwner: nil)
        _ = table.drained(.initial)
        let effects = table.abandonExecs(at: Self.time)
        #expect(effects.count == 3)
        guard case .publish(let event) = effects[0], case .exited(let exit) = event.kind, case .unknown = exit.status
        else {
            Issue.record("the exec did not end as unknown: \(effects)")
            return
        }
        #expect(event.key == .exec("a"))
        #expect(try table.status(.initial) == .stopped)
        // Its real end, later, is no second event.
        #expect(table.reaped(.exec("a"), .signal(9), at: Self.time, oomOwner: nil).isEmpty)
        #expect(table.drained(.exec("a")).isEmpty)
    }

    @Test func execThatWasNeverStartedIsToldToItsWaitersOnly() throws {
        var table = try Self.running()
        _ = try table.addExec("a", stdio: StdioPaths())
        let waiter = WaiterID(connection: 1, stream: 1)
        _ = try table.wait(.exec("a"), waiter)
        _ = table.reaped(.initial, .code(0), at: Self.time, oomOwner: nil)
        let effects = table.drained(.initial)
        guard case .answer(let waiters, let exit) = effects.first else {
            Issue.record("the waiter was not answered first: \(effects)")
            return
        }
        #expect(waiters == [waiter])
        #expect(exit.number == 255)
        #expect(effects.count == 3)
        #expect(Self.refused { try table.checkStart(.exec("a")) } == .failedPrecondition)
    }

    @Test func everyProcessEndsOnce() throws {
        var table = try Self.running(execs: ["a"])
        for key in [ProcessKey.exec("a"), .initial] {
            #expect(!table.reaped(key, .code(1), at: Self.time, oomOwner: nil).isEmpty)
            #expect(table.reaped(key, .code(2), at: Self.time, oomOwner: nil).isEmpty)
            #expect(!table.drained(key).isEmpty)
            #expect(table.drained(key).isEmpty)
        }
    }

    @Test func waitersOfAConnectionThatHasGoneAreForgotten() throws {
        var table = try Self.running(execs: ["a"])
        for connection: UInt64 in [1, 2] {
            _ = try table.wait(.initial, WaiterID(connection: connection, stream: 1))
            _ = try table.wait(.exec("a"), WaiterID(connection: connection, stream: 3))
        }
        table.forgetWaiters(of: 1)
        _ = table.reaped(.exec("a"), .code(0), at: Self.time, oomOwner: nil)
        #expect(table.drained(.exec("a")).contains(.answer([WaiterID(connection: 2, stream: 3)], Self.exit())))
    }

    /// What each state allows: the rows of the contract's table, as one function of the state.
    @Test(arguments: ["none", "created", "running", "paused", "draining", "stopped"])
    func operationsByState(state: String) throws {
        let table = try Self.table(in: state)
        let allowed: [String: Set<String>] = [
            "none": ["create"],
            "created": ["start", "kill", "delete", "exec"],
            "running": ["kill", "pause", "exec"],
            "paused": ["kill", "resume"],
            "draining": [],
            "stopped": ["delete"],
        ]
        let operations: [String: () throws -> Void] = [
            "create": { try table.checkCreate() },
            "start": { try table.checkStart(.initial) },
            "kill": { try table.checkKill(.initial) },
            "pause": { try table.checkPause() },
            "resume": { try table.checkResume() },
            "delete": { _ = try table.checkDelete(.initial) },
            "exec": {
                var copy = table
                _ = try copy.addExec("new", stdio: StdioPaths())
            },
        ]
        for (name, operation) in operations {
            let isAllowed = allowed[state]?.contains(name) == true
            #expect((Self.refused(operation) == nil) == isAllowed, "\(name) in \(state)")
        }
    }

    static func table(in state: String) throws -> TaskTable {
        guard state != "none" else {
            return TaskTable()
        }
        var table = TaskTable()
        _ = table.created(id: "c", bundle: "/b", pid: 10, stdio: StdioPaths())
        guard state != "created" else {
            return table
        }
        table = try running()
        if state == "paused" {
            _ = table.paused()
        }
        if state == "draining" || state == "stopped" {
            _ = table.reaped(.initial, .code(0), at: time, oomOwner: nil)
        }
        if state == "stopped" {
            _ = table.drained(.initial)
        }
        return table
    }

    @Test func unknownIdsAreNotFound() throws {
        var table = TaskTable()
        #expect(Self.refused { _ = try table.status(.initial) } == .notFound)
        table = try Self.running()
        #expect(Self.refused { _ = try table.status(.exec("x")) } == .notFound)
        #expect(Self.refused { try table.checkKill(.exec("x")) } == .notFound)
        #expect(Self.refused { _ = try table.deleted(.exec("x"), at: Self.time) } == .notFound)
    }

    @Test func deletedTableIsEmptyAndAnswersEverybody() throws {
        var table = TaskTable()
        _ = table.created(id: "c", bundle: "/b", pid: 10, stdio: StdioPaths())
        let waiter = WaiterID(connection: 1, stream: 1)
        _ = try table.wait(.initial, waiter)
        let (pid, exit, effects) = try table.deleted(.initial, at: Self.time)
        #expect(pid == 10)
        #expect(exit.number == 255)
        #expect(effects.first == .answer([waiter], exit))
        #expect(table.isEmpty)
        #expect(Self.refused { try table.checkCreate() } == nil)
    }

    /// Random walks: whatever the order of events, ends are published once and init's comes last.
    @Test func randomOrdersKeepTheRules() throws {
        var generator = Seeded(state: 0xbe57)
        for _ in 0..<500 {
            let execs = (0..<Int.random(in: 0...4, using: &generator)).map { "e\($0)" }
            var table = try Self.running(execs: execs)
            var pending: [ProcessKey] = ([.initial] + execs.map(ProcessKey.exec)).shuffled(using: &generator)
            var draining: [ProcessKey] = []
            var ends: [ProcessKey] = []
            while !pending.isEmpty || !draining.isEmpty {
                let reap = draining.isEmpty || (!pending.isEmpty && Bool.random(using: &generator))
                let effects: [Effect]
                if reap {
                    let key = pending.removeLast()
                    draining.append(key)
                    effects = table.reaped(key, .code(0), at: Self.time, oomOwner: nil)
                } else {
                    effects = table.drained(draining.remove(at: Int.random(in: 0..<draining.count, using: &generator)))
                }
                for case .publish(let event) in effects {
                    if case .exited = event.kind { ends.append(event.key) }
                }
            }
            #expect(Set(ends).count == ends.count)
            #expect(ends.count == execs.count + 1)
            #expect(ends.last == .initial)
        }
    }
}

/// A small generator with a seed, so that a failing run can be repeated.
private struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state ^ (state >> 29)
    }
}
