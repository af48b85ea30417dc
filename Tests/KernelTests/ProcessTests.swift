import Kernel
import ProbeSupport
import Testing

@Suite struct ProcessTests {
    @Test(arguments: [0, 1, 42, 255]) func exitCodeArrives(code: UInt8) throws {
        #expect(try Probe.run("exit", "\(code)").status == .exited(code))
    }

    @Test func deathBySignalArrives() throws {
        let status = try Probe.run("signal", "KILL").status
        #expect(status == .signaled(9, core: false))
        #expect(status.number == 137)
    }

    @Test func pidfdTellsEveryMomentOfAProcess() throws {
        try withWaiter { (child: borrowing Child) throws in
            #expect(try child.pidfd.reapIfEnded() == nil)
            #expect(try ProcessFacts(child.pid).parent == Credentials.processID)
            #expect(try ProcessFacts.startTime(of: child.pid) > 0)
            #expect(try child.pidfd.send(nil))
            #expect(try child.pidfd.send(.terminate))
            #expect(try child.pidfd.poll(for: .readable, timeout: .seconds(10)).contains(.readable))
            #expect(try child.pidfd.reapIfEnded() == .signaled(15, core: false))
            #expect(try child.pidfd.send(.kill) == false)
            let error = #expect(throws: KernelError.self) { _ = try Pidfd(pid: child.pid) }
            #expect(error?.errno == .noProcess)
            let second = #expect(throws: KernelError.self) { _ = try child.pidfd.wait() }
            #expect(second?.errno == .noChild)
        }
    }

    @Test func aWaitThatIsBoundedEnds() throws {
        try withWaiter { (child: borrowing Child) throws in
            #expect(try Pidfd.waitForEnd(child.pidfd.raw, within: .milliseconds(20)) == nil)
            #expect(Pidfd.end(child.pidfd.raw, within: .seconds(10)))
            let error = #expect(throws: KernelError.self) { _ = try child.pidfd.wait() }
            #expect(error?.errno == .noChild)
            // Nobody is left to wait for.
            #expect(Pidfd.end(child.pidfd.raw, within: .seconds(10)))
        }
    }

    /// PIDFD_GET_INFO came with Linux 6.13, its exit code with 6.15.
    static let tellsExitCodes: Bool = {
        do { _ = try Pidfd(pid: Credentials.processID).info() } catch { return false }
        return true
    }()

    @Test(.enabled(if: tellsExitCodes, "the kernel has no PIDFD_GET_INFO")) func exitCodeIsKnownAfterReaping() throws {
        try withWaiter { (child: borrowing Child) throws in
            #expect(try child.pidfd.info().pid == child.pid)
            #expect(try child.pidfd.info().exit == nil)
            try child.pidfd.send(.terminate)
            try child.pidfd.wait()
            #expect(try child.pidfd.poll(for: .readable, timeout: .zero).contains(.hangUp))
            #expect(try child.pidfd.info().exit == .signaled(15, core: false))
            #expect(try child.pidfd.info().pid == nil)
        }
    }

    /// The first process of a namespace waits for all others there to be reaped, which their stopped parent does not do.
    @Test func endOfAFirstProcessIsKnownWhileItWaitsForOthers() throws {
        let first = try Spawn(arguments: ["unshare", "--pid", "--fork", "sleep", "1000"]).start("/usr/bin/unshare")
        defer { _ = try? first.pidfd.send(.kill) }
        let pid = try child(of: first.pid)
        let startTime = try ProcessFacts.startTime(of: pid)
        let pidfd = try Pidfd(pid: pid)
        defer { _ = try? pidfd.send(.kill) }
        let words = ["nsenter", "--target", "\(pid)", "--pid", "sleep", "1000"]
        let parent = try Spawn(arguments: words).start("/usr/bin/nsenter")
        defer { _ = try? parent.pidfd.send(.kill) }
        let other = try child(of: parent.pid)
        #expect(ProcessFacts.exitBeforeReaping(pid, startTime: startTime) == nil)
        try parent.pidfd.send(.stop)
        let stopped = parent.pid
        try until { try ProcessFacts(stopped).state == "T" }
        try pidfd.send(.kill)
        try until { try ProcessFacts(other).state == "Z" }
        try until { ProcessFacts.exitBeforeReaping(pid, startTime: startTime) == .signaled(9, core: false) }
        #expect(try ProcessFacts(pid).state != "Z")
        #expect(try pidfd.poll(for: .readable, timeout: .zero).isEmpty)
        #expect(ProcessFacts.exitBeforeReaping(pid, startTime: startTime + 1) == nil)
        // It ends with what it waits for.
        try parent.pidfd.send(.kill)
        try parent.pidfd.wait()
        #expect(try pidfd.poll(for: .readable, timeout: .seconds(60)).contains(.readable))
        try first.pidfd.wait()
    }

    /// The only child of a process, when it runs its program.
    private func child(of parent: Int32) throws -> Int32 {
        var found: Int32?
        try until {
            found = try ProcessFacts.children(of: parent).first
            return try found.map { try ProcessFacts($0).name == "sleep" } ?? false
        }
        return try #require(found)
    }

    /// Of what another process does there is no event.
    private func until(_ condition: () throws -> Bool) throws {
        let end = Clock.monotonic.now + .seconds(60)
        while try !condition() { try #require(Clock.monotonic.now < end) }
    }

    private func withWaiter(_ body: (borrowing Child) throws -> Void) throws {
        let (reader, writer) = try Pipe().ends()
        var spawn = Spawn(arguments: ["kernel-probe", "wait"])
        spawn.descriptors = [0: reader.raw]
        let child = try spawn.start(Probe.path())
        defer { withExtendedLifetime(writer) { _ = try? child.pidfd.send(.kill) } }
        try body(child)
    }

    @Test func processOfAnotherNameIsParsed() throws {
        let facts = try ProcessFacts(Credentials.processID)
        #expect(facts.pid == Credentials.processID)
        #expect(facts.threads >= 1)
        #expect(try !ProcessFacts.commandLine(of: facts.pid).isEmpty)
        #expect(try ProcessFacts.privateMemory(of: facts.pid).total > 0)
    }

    @Test func childLivesInItsOwnNamespaces() throws {
        let result = try Probe.run("namespaces")
        #expect(result.status == .exited(0), "\(result.output)")
        #expect(result["child"] == "exited(7)", "\(result.output)")
        #expect(result["pid"] == "1")
        #expect(result["directory"] == "/")
        #expect(result["root"] == "canary-of-probe,proc")
        #expect(result["host"] == "probe")
        #expect(result["mounts"] == "2")
        #expect(result["hostHasCanary"] == "false")
    }

    @Test func mountsAreMadeDetachedAndChanged() throws {
        let result = try Probe.run("mounts")
        #expect(result["error"] == nil, "\(result.output)")
        #expect(result["upper"] == "new")
        #expect(result["readOnly"] == "true")
        #expect(result["isMountRoot"] == "true")
        #expect(result["ownMountID"] == "true")
        #expect(result["unmounted"] == "true")
        #expect(result["survived"] == "true")
        #expect(result["badMount"] == "invalidArgument")
        #expect(result["kernelMessage"] == "true")
    }

    @Test func credentialsAreSetExactly() throws {
        let result = try Probe.run("credentials")
        #expect(result["error"] == nil, "\(result.output)")
        #expect(result["users"] == "1000,1000,1000")
        #expect(result["groups"] == "1000,1000,1000")
        #expect(result["supplementary"] == "1000,77")
        #expect(result["effective"] == "CAP_CHOWN,CAP_SETUID")
        #expect(result["ambient"] == "CAP_CHOWN")
        #expect(result["bounding"] == "CAP_CHOWN,CAP_SETUID")
    }

    @Test func signalsArriveByDescriptor() throws {
        let result = try Probe.run("signalfd")
        #expect(result["ready"] == "true")
        #expect(result["signal"] == "SIGUSR1")
        #expect(result["fromMyself"] == "true")
        #expect(result["another"] == "false")
    }
}
