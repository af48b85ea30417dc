import Kernel
import ProbeSupport
import Testing

@Suite struct SpawnTests {
    @Test func programGetsOnlyItsDescriptors() throws {
        // Something open without close-on-exec must not get through either.
        let leaked = try File.open("/dev/null")
        try leaked.setCloseOnExec(false)
        let result = try Probe.run("facts")
        #expect(result.status == .exited(0))
        #expect(result["descriptors"] == "0,1,2")
        #expect(result["fd0"] == "/dev/null")
        try leaked.setCloseOnExec(true)
    }

    @Test func crossedDescriptorsArriveWhereTheyShould() throws {
        let first = try File.open("/dev/zero")
        let second = try File.open("/dev/full")
        // Sources and targets overlap crosswise, which dup2 in sequence would get wrong.
        let result = try Probe.run("facts") {
            $0.descriptors[first.raw] = second.raw
            $0.descriptors[second.raw] = first.raw
            $0.descriptors[50] = first.raw
        }
        #expect(result["fd\(first.raw)"] == "/dev/full")
        #expect(result["fd\(second.raw)"] == "/dev/zero")
        #expect(result["fd50"] == "/dev/zero")
        #expect(result["descriptors"]?.split(separator: ",").count == 6)
    }

    @Test func programStartsWithACleanState() throws {
        Signals.ignore(.pipe)
        let directory = try File.open("/usr", [.path, .directory])
        let result = try Probe.run("facts", "a", "", "b c") {
            $0.umask = 0o027
            $0.oomScoreAdjustment = 321
            $0.directory = directory.raw
        }
        #expect(result["Umask"] == "0027")
        #expect(result["oom"] == "321")
        #expect(result["directory"] == "/usr")
        #expect(result["leadsSession"] == "true")
        #expect(result["SigIgn"] == "0000000000000000")
        #expect(result["SigBlk"] == "0000000000000000")
        #expect(result["arguments"] == "a||b c")
    }

    @Test func failedExecIsAnErrorWithItsErrno() throws {
        let error = #expect(throws: KernelError.self) { _ = try Spawn(arguments: ["x"]).start("/dev/null") }
        #expect(error?.errno == .accessDenied)
        #expect(error?.operation == "execute")
        let missing = #expect(throws: KernelError.self) { _ = try Spawn(arguments: ["x"]).start("/no/such/program") }
        #expect(missing?.code == .notFound)
    }

    @Test func badDescriptorInTheMapIsRefused() throws {
        var spawn = Spawn(arguments: ["true"])
        spawn.descriptors[5] = 9999
        let error = #expect(throws: KernelError.self) { _ = try spawn.start("/bin/true") }
        #expect(error?.errno == .badDescriptor)
        #expect(error?.operation == "place descriptors")
    }

    @Test func manyThreadsSpawnAtOnce() async throws {
        let program = try Probe.path()
        try await withThrowingTaskGroup(of: Kernel.ExitStatus.self) { group in
            for number in 0..<40 {
                group.addTask {
                    try Spawn(arguments: ["kernel-probe", "exit", "\(number)"]).start(program).pidfd.wait()
                }
            }
            var codes: Set<Kernel.ExitStatus> = []
            for try await status in group { codes.insert(status) }
            #expect(codes.count == 40)
        }
    }

    /// The attack: keep the program's magic link while it runs, open it for writing when it is no longer busy.
    private func openForWriting(afterRunning program: RawDescriptor) throws -> Errno? {
        let (reader, writer) = try Pipe().ends()
        var spawn = Spawn(arguments: ["kernel-probe", "wait"])
        let output = try Pipe()
        spawn.descriptors = [0: reader.raw, 1: output.writer.raw]
        let child = try spawn.start(program)
        // The kernel lets the caller of exec go on a moment before /proc names the new program: until then the link is the
        // test's own, which stays busy. A program that speaks is there.
        _ = try output.reader.read(upTo: 16)
        let kept = try File.open("/proc/\(child.pid)/exe", .path)
        _ = writer
        try child.pidfd.send(.kill)
        try child.pidfd.wait()
        let busy = Errno(rawValue: 26)
        let deadline = Clock.monotonic.now + .seconds(10)
        while true {
            do throws(KernelError) {
                _ = try File.open(kept.procPath, .write)
                return nil
            } catch {
                // The kernel lets go of a dead process's program a little after its end, and tells nobody.
                guard error.errno == busy, Clock.monotonic.now < deadline else { return error.errno }
                Clock.sleep(.milliseconds(1))
            }
        }
    }

    @Test func sealedProgramCannotBeWrittenAfterwards() throws {
        // A copy that nobody else runs, because a running program is busy for writing in any case.
        let scratch = try Scratch()
        let copy = scratch.path + "/program"
        try File.writeAtomically(copy, File.read(Probe.path(), limit: 1 << 28), mode: 0o755, durable: false)
        let plain = try File.open(copy, .path)
        let plainAnswer = try openForWriting(afterRunning: plain.raw)
        #expect(plainAnswer == nil)
        let sealed = try SealedExecutable(copy)
        let isSealed = sealed.isSealed
        #expect(isSealed)
        let answer = try openForWriting(afterRunning: sealed.descriptor.raw)
        #expect(answer == .readOnly)
    }

    @Test func programKnowsWhetherItIsSealed() throws {
        let program = try SealedExecutable(Probe.path())
        let pipe = try Pipe()
        var spawn = Spawn(arguments: ["kernel-probe", "sealed"])
        spawn.descriptors = [1: pipe.writer.raw]
        let child = try spawn.start(program.descriptor.raw)
        let (reader, _) = pipe.ends()
        #expect(try String(decoding: reader.readToEnd(limit: 4096), as: UTF8.self).hasPrefix("sealed=true"))
        #expect(try child.pidfd.wait() == .exited(0))
        #expect(try Probe.run("sealed")["sealed"] == "false")
    }
}
