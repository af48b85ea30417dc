import OCISpec
import Testing

@testable import Seccomp

/// A program that keeps a workload without namespaces to itself, beside the program as it was.
@Suite struct ItselfTests {
    @Test func otherProcessesAndSharedObjectsAreRefused() throws {
        let program = try SeccompCompiler.compile(DefaultProfile.profile(capabilities: []))
        let (original, itself) = (BPFInterpreter(program), BPFInterpreter(try #require(program.confinedToItself())))
        func verdict(_ name: String, _ arguments: [UInt64]) throws -> UInt32? {
            let number = try #require(SyscallNames.number(of: name))
            return itself.verdict(
                on: SystemCall(architecture: SyscallNames.native, number: number, arguments: arguments)
            )
        }
        let (allowed, refused, absent) = (Verdict.allow, Verdict.errno(1), Verdict.errno(38))
        for name in ["prlimit64", "sched_setaffinity", "sched_setparam", "sched_setscheduler", "sched_setattr"] {
            #expect(try verdict(name, [0, 7]) == allowed && verdict(name, [1, 7]) == refused, "\(name)")
            // The kernel looks at 32 bits of a process.
            #expect(try verdict(name, [1 << 32]) == allowed && verdict(name, [1 << 32 | 5]) == refused, "\(name)")
        }
        #expect(try verdict("setpriority", [0, 0]) == allowed && verdict("setpriority", [1, 0]) == allowed)
        #expect(try verdict("setpriority", [0, 9]) == refused && verdict("setpriority", [2, 0]) == refused)
        #expect(try verdict("ioprio_set", [1, 0]) == allowed && verdict("ioprio_set", [3, 0]) == refused)
        #expect(try verdict("ioprio_set", [1, 9]) == refused)
        for name in ["shmget", "shmat", "msgget", "semget", "semop", "mq_open", "mq_unlink"] {
            #expect(try verdict(name, []) == absent, "\(name)")
        }
        let changed = Set(
            [
                "prlimit64", "sched_setaffinity", "sched_setparam", "sched_setscheduler", "sched_setattr",
                "setpriority", "ioprio_set", "shmget", "shmat", "shmctl", "shmdt", "msgget", "msgsnd", "msgrcv",
                "msgctl", "semget", "semop", "semtimedop", "semctl", "mq_open", "mq_unlink",
            ].compactMap { SyscallNames.number(of: $0) }
        )
        for call in AskingTests.calls {
            if call.architecture != SyscallNames.native || call.number >= 0x4000_0000 {
                #expect(itself.verdict(on: call) == absent, "\(call)")
            } else if !changed.contains(call.number) {
                #expect(itself.verdict(on: call) == original.verdict(on: call), "\(call)")
            }
        }
    }

    @Test func whatHasNoRoomIsNotChanged() throws {
        let pass: [UInt8] = [6, 0, 0, 0, 0, 0, 0xff, 0x7f]
        func program(_ count: Int) throws -> SeccompProgram {
            try SeccompProgram(flags: 0, instructions: Array(repeating: pass, count: count).flatMap { $0 })
        }
        #expect(try program(SeccompProgram.maximumInstructions).confinedToItself() == nil)
        #expect(try program(1).confinedToItself() != nil)
    }
}
