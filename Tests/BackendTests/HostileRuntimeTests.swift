import Foundation
import Kernel
import ShimKitTesting
import ShimProtocol
import SwiftProtobuf
import Testing

/// What becomes of a container whose OCI runtime hangs, lies or talks nonsense: an error, and nothing else.
@Suite(.timeLimit(.minutes(2))) struct HostileRuntimeTests {
    /// A shim of the backend over a runtime that is a script.
    final class Place {
        let shim: RunningShim
        let client: ShimClient
        private let script: String

        init(_ body: String, group: String = "") throws {
            let program = BackendTests.directory.appendingPathComponent("berth-shim-oci").path
            let linux = #""linux":{"cgroupsPath":"\#(group)"}"#
            shim = try RunningShim(
                program: program,
                config: #"{"ociVersion":"1.0.2","root":{"path":"rootfs"},\#(linux)}"#
            )
            client = try shim.connect()
            script = "\(shim.directory)/runtime"
            // Where a runtime puts the number, and the command, whatever flags come before it.
            let head = """
                #!/bin/sh
                previous= command= pidfile= log=
                for word; do
                    case $previous in --pid-file) pidfile=$word ;; --log) log=$word ;; esac
                    case $word in create | start | delete | exec) command=${command:-$word} ;; esac
                    previous=$word
                done
                [ "$command" = delete ] && exit 0

                """
            try Data((head + body + "\n").utf8).write(to: URL(fileURLWithPath: script))
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: script)
        }

        /// The code and text of the error of Create.
        func refusal(_ options: [String: String] = [:]) throws -> (ErrorCode, String) {
            var create = ShimCreateOptions()
            create.log.disabled = true
            create.backendOptions = ["runtime": script].merging(options) { $1 }
            let request = TaskCreateRequest.with { request in
                request.id = shim.id
                request.bundle = shim.bundle
                request.options = Google_Protobuf_Any(packed: create)
            }
            do {
                try client.task(.create, request)
            } catch let error as RPCError {
                // The shim is there, and has no container.
                try client.task(.connect, TaskConnectRequest.with { $0.id = shim.id })
                let children = try ProcessFacts.children(of: shim.pid).filter { try ProcessFacts($0).state != "Z" }
                #expect(children == [], "processes of the runtime are left")
                return (error.code, error.message)
            }
            throw ConformanceFailure("Create succeeded")
        }

        /// What the script has written for us.
        func number(_ file: String) throws -> Int32 {
            try #require(Int32(File.readText("\(shim.directory)/\(file)").split(separator: "\n")[0]))
        }
    }

    @Test func runtimeThatHangsIsKilledWithWhatItHasStarted() throws {
        let place = try Place("sleep 1000 & echo $! >${0%/*}/child; exec sleep 1000")
        let start = ContinuousClock.now
        let (code, message) = try place.refusal(["timeout": "1"])
        #expect(code == .timedOut, "\(message)")
        #expect(ContinuousClock.now - start < .seconds(20))
        let child = try place.number("child")
        #expect((try? ProcessFacts(child))?.state ?? "Z" == "Z", "its child lives")
    }

    /// A group of the host's, in the best hierarchy that there is for it.
    private final class Group {
        let path = "/berth-test-\(UUID().uuidString.prefix(8).lowercased())"
        let directory: String
        let stranger: Child

        init(isThere: Bool) throws {
            let unified = FileManager.default.fileExists(atPath: "/sys/fs/cgroup/cgroup.controllers")
            directory = (unified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/pids") + path
            if isThere {
                try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
            }
            stranger = try Spawn(arguments: ["sleep", "1000"]).start("/bin/sleep")
        }

        /// The words with which a script puts the stranger in.
        var enter: String { "echo \(stranger.pid) >\(directory)/cgroup.procs" }
        var exists: Bool { FileManager.default.fileExists(atPath: directory) }
        var strangerLives: Bool { (try? stranger.pidfd.poll(for: .readable, timeout: .zero).isEmpty) == true }

        func put() throws {
            try File.writeOnce("\(directory)/cgroup.procs", "\(stranger.pid)")
        }

        deinit {
            // Its end is all that is left to do.
            _ = try? stranger.pidfd.send(.kill)
            _ = try? stranger.pidfd.wait()
            rmdir(directory)
        }
    }

    @Test func groupOfAStrangerIsRefusedAndStaysAsItIs() throws {
        let group = try Group(isThere: true)
        try group.put()
        let (code, message) = try Place("exit 1", group: group.path).refusal()
        #expect(code == .alreadyExists, "\(message)")
        #expect(group.strangerLives && group.exists)
    }

    @Test func strangerWhoHasComeInMeanwhileLives() throws {
        let group = try Group(isThere: false)
        let (code, message) = try Place("mkdir \(group.directory); \(group.enter); exit 1", group: group.path).refusal()
        #expect(code == .internal, "\(message)")
        #expect(group.strangerLives && group.exists)
    }

    @Test(arguments: [true, false]) func emptyGroupGoesUnlessItWasThere(_ wasThere: Bool) throws {
        let group = try Group(isThere: wasThere)
        let (code, message) = try Place("mkdir -p \(group.directory); exit 1", group: group.path).refusal()
        #expect(code == .internal, "\(message)")
        #expect(group.exists == wasThere)
    }

    @Test func numberOfAStrangerIsNotBelieved() throws {
        let stranger = try Spawn(arguments: ["sleep", "1000"]).start("/bin/sleep")
        defer {
            // Its end is all that is left to do.
            _ = try? stranger.pidfd.send(.kill)
            _ = try? stranger.pidfd.wait()
        }
        let place = try Place("echo \(stranger.pid) >$pidfile")
        let (code, message) = try place.refusal()
        #expect(code == .internal, "\(message)")
        #expect(try stranger.pidfd.poll(for: .readable, timeout: .zero).isEmpty, "the stranger was killed")
    }

    @Test(arguments: [
        "", "echo 1 >$pidfile", "echo 0 >$pidfile", "echo -5 >$pidfile", "echo many >$pidfile", "echo $$ >$pidfile",
    ])
    func answerThatIsNoneIsAnError(_ body: String) throws {
        let (code, message) = try Place(body).refusal()
        #expect(code == .internal, "\(message)")
    }

    @Test func floodOfWordsIsCut() throws {
        let place = try Place("head -c 5000000 /dev/zero >$log; head -c 200000 /dev/urandom >&2; exit 1")
        let (code, message) = try place.refusal(["timeout": "5"])
        #expect([.internal, .timedOut].contains(code), "\(message.prefix(200))")
        #expect(message.utf8.count < 4 << 20)
    }

    @Test func lastErrorOfTheLogIsTheReason() throws {
        let lines = #"{"level":"warning","msg":"first"}\n{"level":"error","msg":"no such luck"}\n"#
        let (_, message) = try Place("printf '\(lines)' >$log; exit 1").refusal()
        #expect(message.contains("no such luck"))
    }

    @Test func optionThatIsNoneIsRefusedByName() throws {
        let (code, message) = try Place("exit 1").refusal(["colour": "red"])
        #expect(code == .invalidArgument)
        #expect(message.contains("colour"))
    }

    @Test func runtimeThatIsNotThereIsNotFound() throws {
        #expect(try Place("exit 1").refusal(["runtime": "/no/such/runtime"]).0 == .notFound)
    }
}
