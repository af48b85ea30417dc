import Foundation
import Kernel
import ShimKitTesting
import Testing

/// However a run of the suite ends, nothing stays of what it has started: no process, directory, cgroup or mount.
@Suite(.timeLimit(.minutes(2))) struct OwnedRunTests {
    /// How a run is ended before its time.
    enum Ending: CaseIterable {
        case interrupt, terminate, hangUp, killedFront, killedKeeper, closedTerminal

        /// A signal to the process that the caller sees.
        var signal: Signal? {
            switch self {
            case .interrupt: .interrupt
            case .terminate: .terminate
            case .hangUp: .hangUp
            case .killedFront: .kill
            case .killedKeeper, .closedTerminal: nil
            }
        }
    }

    /// A run of `berth backend test` on a program that is a script, which says each of its starts.
    final class Place {
        let directory: String
        let script: String
        /// In the command line of what the script leaves behind.
        let word = "1000.\(UInt32.random(in: 1_000_000...9_999_999))"
        private let starts: SharedDescriptor

        /// A program that does `body` on `start`, in its bundle.
        init(_ body: String) throws {
            directory = "/tmp/berth-owned-\(Random.hex(4))"
            script = directory + "/shim"
            try File.makeDirectory(directory)
            try RootedDir(directory).mknod("starts", .fifo, permissions: 0o600)
            starts = SharedDescriptor(try File.open(directory + "/starts", [.readWrite, .nonBlocking]))
            let text = """
                #!/bin/sh
                for action; do :; done
                if [ "$action" = start ]; then
                \(body.replacingOccurrences(of: "WORD", with: word))
                fi
                exec \(BackendTests.directory.path)/berth-shim-native "$@"

                """
            try File.writeAtomically(script, Array(text.utf8), mode: 0o755, durable: false)
        }

        deinit { _ = try? File.removeTree(directory) }

        /// Begins a run, also as the foreground of a terminal, which ends with the process.
        func run(terminal: Bool = false) throws -> Child {
            let berth = BackendTests.testProducts.appendingPathComponent("berth").path
            let words = [berth, "backend", "test", script]
            let command = terminal ? ["script", "-qec", words.joined(separator: " "), "/dev/null"] : words
            var spawn = Spawn(arguments: command, environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"])
            let output = try File.open(directory + "/errors", [.write, .create, .append])
            spawn.descriptors = [2: output.raw]
            return try withExtendedLifetime(output) { try spawn.start(terminal ? "/usr/bin/script" : berth) }
        }

        var errors: String { get throws { try File.readText(directory + "/errors") } }

        /// Waits for so many starts.
        ///
        /// - Returns: The bundle of the last.
        func bundle(_ count: Int = 1) throws -> String {
            var text = ""
            let deadline = Clock.monotonic.now + .seconds(60)
            while text.count(where: { $0 == "\n" }) < count {
                let ready = try starts.poll(for: .readable, timeout: max(.zero, deadline - Clock.monotonic.now))
                try #require(ready.contains(.readable), "no start")
                text += String(decoding: try starts.read(upTo: 4096), as: UTF8.self)
            }
            return String(text.split(separator: "\n")[count - 1])
        }

        /// What is still there of a run, which has the bundle.
        func leftovers(_ bundle: String) throws -> [String] {
            // /tmp/berth-conformance-MARK/…
            let place = bundle.split(separator: "/").prefix(2).map { "/" + $0 }.joined()
            let mark = String(place.suffix(8))
            let names = try FileManager.default.contentsOfDirectory(atPath: "/proc")
            let processes = names.filter { name in
                guard Int32(name) != nil else { return false }
                // One that ends meanwhile is none.
                let words = (try? String(contentsOfFile: "/proc/\(name)/cmdline", encoding: .utf8)) ?? ""
                return words.contains(word) || words.contains(mark) || words.contains(script)
            }
            let mounts = try File.readText("/proc/self/mountinfo", limit: 1 << 24).split(separator: "\n").map(
                String.init
            )
            return processes.map { "process \($0)" } + (File.exists(place) ? [place] : [])
                + (try Self.groups(mark))
                + mounts.filter { $0.contains(mark) }
        }

        /// Cgroups with the mark in their names: the suite's are at the top of each hierarchy.
        static func groups(_ mark: String) throws -> [String] {
            let root = "/sys/fs/cgroup"
            let first = try File.open(root, .directory).readDirectory().filter { $0.kind == .directory }
            let paths = [root] + first.map { "\(root)/\($0.name)" }
            return paths.flatMap { path in
                // A group that goes meanwhile is none.
                let entries = (try? File.open(path, .directory).readDirectory()) ?? []
                return entries.filter { $0.name.contains(mark) }.map { "\(path)/\($0.name)" }
            }
        }

        func expectNothing(_ bundle: String) throws {
            let deadline = ContinuousClock.now + .seconds(20)
            while try !leftovers(bundle).isEmpty, ContinuousClock.now < deadline {
                // What was killed ends when the kernel gets to it, and nothing announces it here.
                _ = try EventFd().poll(for: .readable, timeout: .milliseconds(20))
            }
            #expect(try leftovers(bundle) == [])
        }
    }

    /// A `start` that hangs, and has left a process of a session of its own, a mount, and a cgroup whose process is frozen where that keeps
    /// SIGKILL off.
    private static let hanging = """
        id=$(basename "$PWD")
        mount -t tmpfs left rootfs
        (setsid sleep WORD &)
        group=/sys/fs/cgroup/freezer
        [ -d $group ] || group=/sys/fs/cgroup
        mkdir "$group/berth-$id"
        setsid sh -c "echo 0 >$group/berth-$id/cgroup.procs; exec sleep WORD" &
        while ! grep -q . "$group/berth-$id/cgroup.procs"; do :; done
        [ ! -e "$group/berth-$id/freezer.state" ] || echo FROZEN >"$group/berth-$id/freezer.state"
        echo "$PWD" >"${0%/*}/starts"
        exec sleep WORD
        """

    @Test(arguments: Ending.allCases) func nothingStaysOfAStartThatHangs(_ ending: Ending) throws {
        let place = try Place(Self.hanging)
        let run = try place.run(terminal: ending == .closedTerminal)
        defer { Pidfd.end(run.pidfd.raw, within: .seconds(20)) }
        let bundle = try place.bundle()
        #expect(try !place.leftovers(bundle).isEmpty)
        let seen = try Self.end(run, ending)
        if let signal = ending.signal {
            #expect(seen == .signaled(signal.rawValue, core: false))
        } else if ending == .killedKeeper {
            #expect(seen == .exited(137))
        }
        try place.expectNothing(bundle)
    }

    /// In the middle of its checks, with containers of a real shim.
    @Test(arguments: [Ending.interrupt, .killedFront]) func nothingStaysOfARunInTheMiddle(_ ending: Ending) throws {
        let place = try Place(#"echo "$PWD" >"${0%/*}/starts""#)
        let run = try place.run()
        defer { Pidfd.end(run.pidfd.raw, within: .seconds(20)) }
        let bundle = try place.bundle(9)
        #expect(try Self.end(run, ending) == .signaled(ending == .interrupt ? 2 : 9, core: false))
        try place.expectNothing(bundle)
    }

    /// Who hangs is given up after 20 s, and what has got away from it ends with the run.
    @Test func nothingStaysOfWhatIsGivenUp() throws {
        let place = try Place(Self.hanging)
        let run = try place.run()
        let bundle = try place.bundle()
        let began = Clock.monotonic.now
        #expect(try run.pidfd.wait() == .exited(2))
        // It was waited for, and is not a run that failed at once; the bundle is there a moment after the wait has begun.
        #expect(Clock.monotonic.now - began > .seconds(10))
        #expect(try place.leftovers(bundle) == [])
    }

    /// crun keeps the group of a document that it refuses; a check leaves none, also where it fails for that.
    @Test(.enabled(if: IsolationTests.crunIsInstalled))
    func noGroupStaysOfACheck() throws {
        let mark = Random.hex(4)
        let place = ConformancePlace(directory: "/tmp/berth-owned-\(mark)", mark: mark)
        try File.makeDirectory(place.directory)
        defer { _ = try? File.removeTree(place.directory) }
        let check = try #require(Conformance.isolation.first { $0.name == "limitBelowNothingIsRefused" })
        try Conformance.$place.withValue(place) { try check.run(on: .containerdCrun) }
        #expect(try Place.groups(mark) == [])
    }

    /// Ends a run, and waits for it.
    private static func end(_ run: borrowing Child, _ ending: Ending) throws -> Kernel.ExitStatus? {
        if ending == .killedKeeper {
            let keeper = try #require(try ProcessFacts.children(of: run.pid).first)
            try Pidfd(pid: keeper).send(.kill)
        } else {
            try run.pidfd.send(ending.signal ?? .kill)
        }
        return try Pidfd.waitForEnd(run.pidfd.raw, within: .seconds(30))
    }
}
