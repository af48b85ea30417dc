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

        init(_ body: String, group: String = "", document: String = "", deletes: Bool = true) throws {
            let program = BackendTests.directory.appendingPathComponent("berth-shim-oci").path
            let linux = document.contains("linux") ? nil : #""linux":{"cgroupsPath":"\#(group)"}"#
            let parts = [#""ociVersion":"1.0.2","root":{"path":"rootfs"}"#, linux, document.isEmpty ? nil : document]
            shim = try RunningShim(
                program: program,
                config: "{\(parts.compactMap { $0 }.joined(separator: ","))}"
            )
            client = try shim.connect()
            script = "\(shim.directory)/runtime"
            // Where a runtime puts the number, and the command, whatever flags come before it.
            let head = """
                #!/bin/sh
                previous= command= pidfile= log=
                for word; do
                    case $previous in --pid-file) pidfile=$word ;; --log) log=$word ;; esac
                    case $word in create | start | delete | exec | pause | resume | update | kill | state | features) command=${command:-$word} ;; esac
                    previous=$word
                done
                echo $command >>${0%/*}/commands
                \(deletes ? "[ \"$command\" = delete ] && exit 0" : "")

                """
            try Data((head + body + "\n").utf8).write(to: URL(fileURLWithPath: script))
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: script)
        }

        /// The code and text of the error of Create.
        func refusal(_ options: [String: String] = [:]) throws -> (ErrorCode, String) {
            let request = request(options)
            do {
                try client.task(.create, request)
            } catch let error as RPCError {
                // The shim is there, and has no container.
                try client.task(.connect, TaskConnectRequest.with { $0.id = shim.id })
                let deadline = ContinuousClock.now + .seconds(10)
                while try !living().isEmpty, ContinuousClock.now < deadline {
                    // What was killed ends when the kernel gets to it, and nothing announces it here.
                    _ = try EventFd().poll(for: .readable, timeout: .milliseconds(5))
                }
                #expect(try living() == [], "processes of the runtime are left")
                return (error.code, error.message)
            }
            throw ConformanceFailure("Create succeeded")
        }

        /// The request of Create.
        func request(_ options: [String: String]) -> TaskCreateRequest {
            var create = ShimCreateOptions()
            create.log.disabled = true
            create.backendOptions = ["runtime": script].merging(options) { $1 }
            return TaskCreateRequest.with { request in
                request.id = shim.id
                request.bundle = shim.bundle
                request.options = Google_Protobuf_Any(packed: create)
            }
        }

        /// A place in whose container a `sleep` waits, made as a runtime makes it; one command, or all but creation, is wrong.
        static func created(_ command: String, _ wrong: String) throws -> Place {
            let place = try Place(
                """
                case $command in
                \(command)) \(wrong) ;;
                create) sleep 1000 >/dev/null 2>&1 & echo $! >$pidfile ;;
                exec) sleep 1000 >/dev/null 2>&1 & echo $! >$pidfile ;;
                esac
                """,
                deletes: false
            )
            _ = try place.client.task(.create, place.request(["timeout": "1"]), TaskCreateResponse.self)
            return place
        }

        /// Makes the call, which has to fail in time.
        func fails(_ method: TaskMethod, _ request: some Message) throws -> ErrorCode {
            let start = ContinuousClock.now
            let error = #expect(throws: RPCError.self) { try client.task(method, request) }
            #expect(ContinuousClock.now - start < .seconds(15), "\(method)")
            return error?.code ?? .internal
        }

        /// The container still answers, ends by SIGKILL, is deleted, and leaves nothing.
        func endsWell(status: UInt32 = 137) throws {
            _ = try client.task(.state, TaskStateRequest.with { $0.id = shim.id }, TaskStateResponse.self)
            _ = try? client.task(.kill, TaskKillRequest.with { ($0.id, $0.signal, $0.all) = (shim.id, 9, true) })
            let end = try client.task(.wait, TaskWaitRequest.with { $0.id = shim.id }, TaskWaitResponse.self)
            #expect([status, 255].contains(end.exitStatus))
            try client.task(.delete, TaskDeleteRequest.with { $0.id = shim.id })
            let mounts = try File.readText("/proc/self/mountinfo").split(separator: "\n").filter {
                $0.contains(shim.bundle)
            }
            #expect(mounts.isEmpty)
            try client.task(.shutdown, TaskShutdownRequest.with { $0.id = shim.id })
            #expect(try shim.waitForEnd() == .exited(0))
        }

        /// The shim's children that have not ended.
        private func living() throws -> [Int32] {
            try ProcessFacts.children(of: shim.pid).filter { ((try? ProcessFacts($0))?.state ?? "Z") != "Z" }
        }

        /// The commands that the runtime was called with.
        func commands() throws -> [Substring] {
            try File.readText("\(shim.directory)/commands").split(separator: "\n")
        }

        /// What the script has written for us.
        func number(_ file: String) throws -> Int32 {
            try #require(Int32(File.readText("\(shim.directory)/\(file)").split(separator: "\n")[0]))
        }
    }

    @Test func whatARuntimePrintsIsEscaped() throws {
        let (_, message) = try Place(#"printf 'a\033[31m\001\377b' >$log; exit 7"#).refusal()
        #expect(message.contains(#"a\u{1b}[31m\u{1}"#), "\(message)")
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

    /// Each command of a container that is there: the call fails at its deadline, and the container is none the worse.
    @Test(arguments: ["exec sleep 1000", "head -c 10000 /dev/urandom >&2; exit 7", "kill -9 $$"])
    func commandThatGoesWrongFailsAlone(_ wrong: String) throws {
        let hangs = wrong.contains("sleep")
        for (command, method) in [("pause", TaskMethod.pause), ("update", .update), ("exec", .start)] {
            let place = try Place.created(command, wrong)
            let id = place.shim.id
            try place.client.task(.start, TaskStartRequest.with { $0.id = id })
            let code: ErrorCode
            switch method {
            case .pause: code = try place.fails(.pause, TaskPauseRequest.with { $0.id = id })
            case .update:
                let resources = Google_Protobuf_Any(typeURL: TypeURL.linuxResources, json: Array("{}".utf8))
                code = try place.fails(.update, TaskUpdateRequest.with { ($0.id, $0.resources) = (id, resources) })
            default:
                let process = Google_Protobuf_Any(
                    typeURL: TypeURL.process,
                    json: Array(#"{"args":["true"],"cwd":"/"}"#.utf8)
                )
                try place.client.task(.exec, TaskExecRequest.with { ($0.id, $0.execID, $0.spec) = (id, "e", process) })
                code = try place.fails(.start, TaskStartRequest.with { ($0.id, $0.execID) = (id, "e") })
            }
            #expect(code == (hangs ? .timedOut : .internal), "\(command)")
            try place.endsWell()
        }
    }

    @Test(arguments: ["exec sleep 1000", "exit 7"]) func startThatGoesWrongIsTheEndOfTheContainer(
        _ wrong: String
    ) throws {
        let place = try Place.created("start", wrong)
        let code = try place.fails(.start, TaskStartRequest.with { $0.id = place.shim.id })
        #expect(code == (wrong == "exit 7" ? .internal : .timedOut))
        try place.endsWell()
    }

    @Test(arguments: ["exec sleep 1000", "exit 7"]) func resumeThatGoesWrongFailsAlone(_ wrong: String) throws {
        let place = try Place.created("resume", wrong)
        try place.client.task(.start, TaskStartRequest.with { $0.id = place.shim.id })
        try place.client.task(.pause, TaskPauseRequest.with { $0.id = place.shim.id })
        let code = try place.fails(.resume, TaskResumeRequest.with { $0.id = place.shim.id })
        #expect(code == (wrong == "exit 7" ? .internal : .timedOut))
        try place.endsWell()
    }

    /// A container is gone when its processes are, whatever its runtime says of it.
    @Test(arguments: ["exec sleep 1000", "exit 7", "head -c 10000 /dev/urandom; exit 0"])
    func deleteThatGoesWrongKeepsNoContainer(_ wrong: String) throws {
        let place = try Place.created("delete", wrong)
        try place.client.task(.start, TaskStartRequest.with { $0.id = place.shim.id })
        try place.endsWell()
    }

    /// An exec whose number is a lie, or none: the session fails, and nobody is signalled.
    @Test(arguments: [
        "echo 1 >$pidfile", "echo $PPID >$pidfile", "echo many >$pidfile", "true", "echo 4194304 >$pidfile",
    ])
    func numberOfASessionIsNotBelieved(_ wrong: String) throws {
        let place = try Place.created("exec", wrong)
        let id = place.shim.id
        try place.client.task(.start, TaskStartRequest.with { $0.id = id })
        let process = Google_Protobuf_Any(typeURL: TypeURL.process, json: Array(#"{"args":["true"],"cwd":"/"}"#.utf8))
        try place.client.task(.exec, TaskExecRequest.with { ($0.id, $0.execID, $0.spec) = (id, "e", process) })
        #expect(try place.fails(.start, TaskStartRequest.with { ($0.id, $0.execID) = (id, "e") }) == .internal)
        try place.endsWell()
    }

    /// What it would say is what the kernel says; so nothing of it can be wrong.
    @Test func stateIsNeverAsked() throws {
        let place = try Place.created("state", "echo garbage")
        try place.client.task(.start, TaskStartRequest.with { $0.id = place.shim.id })
        try place.client.task(.pause, TaskPauseRequest.with { $0.id = place.shim.id })
        try place.client.task(.resume, TaskResumeRequest.with { $0.id = place.shim.id })
        let commands = "\(place.shim.directory)/commands"
        try place.endsWell()
        #expect(!(try File.readText(commands)).contains("state"))
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

    /// A log without end is kept nowhere, and what it ends with is known all the same.
    @Test func floodOfTheLogIsNotKept() throws {
        let flood = "head -c 100000000 /dev/zero >$log; stat -c %s $log >${0%/*}/size"
        let place = try Place(flood + #"; printf '\n{"level":"error","msg":"no such luck"}\n' >>$log; exit 1"#)
        let (code, message) = try place.refusal()
        #expect(code == .internal && message.contains("no such luck"), "\(message.prefix(200))")
        #expect(try place.number("size") <= 1 << 20)
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
