import Foundation
import Kernel
import OCISpec
import Seccomp
import SystemFixture
import Testing

extension SecurityTests {
    /// Rows 66, 68 and 69: system calls that the default filter keeps from a container.
    @Suite struct KernelSurfaceTests {
        func box(_ mode: Box.Mode, also capabilities: [String] = []) throws -> Box {
            let box = try Box(mode)
            let sets = (box.spec.process?.capabilities?.bounding ?? []) + capabilities
            box.spec.process?.capabilities = .init(bounding: sets, effective: sets, permitted: sets)
            box.spec.linux?.seccomp = DefaultProfile.profile(capabilities: sets)
            return box
        }

        /// The lines `name=errno` of the first process and of an exec, each of which runs the same command.
        func answers(_ box: Box, _ command: String) throws -> [[String: Int]] {
            let (first, exec) = try box.both("hostile \(command)")
            return [first, exec].map { result in
                var found: [String: Int] = [:]
                for line in result.lines {
                    let parts = line.split(separator: "=")
                    if parts.count == 2, let errno = Int(parts[1]) { found[String(parts[0])] = errno }
                }
                return found
            }
        }

        // 66: sockets of dangerous families ---------------------------------------------------------------------------

        @Test(arguments: Box.Mode.allCases)
        func socketsOfDangerousFamiliesAreRefused(_ mode: Box.Mode) throws {
            for answers in try answers(box(mode), "sockets") {
                for name in ["alg-64", "alg-high", "vsock-64", "vsock-high"] { #expect(answers[name] == 1, "\(name)") }
                for name in ["inet-64", "unix-64"] { #expect(answers[name] == 0, "\(name)") }
                #if arch(x86_64)
                for name in ["alg-32", "vsock-32"] { #expect(answers[name] == 1, "\(name)") }
                for name in ["inet-32", "unix-32"] { #expect(answers[name] == 0, "\(name)") }
                // The old multiplexer has its arguments in memory, where no filter sees them: 32-bit programs keep their
                // network by it. Whether the families exist behind it is the kernel's configuration.
                for name in ["inet-multiplexed", "unix-multiplexed"] { #expect(answers[name] == 0, "\(name)") }
                #endif
            }
        }

        // 68: kernel surface ------------------------------------------------------------------------------------------

        /// Calls and what the default filter says: 1 for what is refused, 38 for what a program shall take for absent,
        /// 1031 when the kernel ends the caller with SIGSYS.
        static let verdicts: [String: [Int]] = [
            "bpf": [1], "userfaultfd": [1], "io_uring_setup": [1, 38], "io_uring_enter": [1, 38], "keyctl": [1],
            "add_key": [1], "request_key": [1], "mount": [1], "open_tree": [1], "fsopen": [1], "move_mount": [1],
            "umount2": [1], "pivot_root": [1], "setns": [1], "unshare-user": [1], "unshare-mount": [1], "clone3": [38],
            "clone-user": [1], "perf_event_open": [1], "open_by_handle_at": [1], "kexec_load": [1], "init_module": [1],
            "finit_module": [1], "reboot": [1], "swapon": [1], "settimeofday": [1], "quotactl": [1], "acct": [1],
            "lookup_dcookie": [1, 38], "personality": [1, 38], "new": [38], "x32": [1, 38, 1031],
        ]

        @Test(arguments: Box.Mode.allCases)
        func theDefaultFilterRefusesWhatOpensTheKernel(_ mode: Box.Mode) throws {
            for answers in try answers(box(mode), "calls") {
                for (name, errors) in Self.verdicts {
                    #expect(answers[name].map { errors.contains($0) } == true, "\(name): \(answers[name] ?? -1)")
                }
            }
        }

        @Test func aCapabilityOpensItsOwnCallsOnly() throws {
            let before = Self.verdicts.keys.filter {
                ["io_uring_setup", "userfaultfd", "keyctl", "add_key"].contains($0)
            }
            for answers in try answers(box(.host, also: ["CAP_SYS_CHROOT", "CAP_SYS_TIME"]), "calls") {
                for name in before { #expect(Self.verdicts[name]?.contains(answers[name] ?? -1) == true, "\(name)") }
                #expect(answers["bpf"] == 1 && answers["mount"] == 1)
            }
        }

        // 69: the filter is there ------------------------------------------------------------------------------------

        @Test(arguments: Box.Mode.allCases)
        func everyProcessHasTheFilter(_ mode: Box.Mode) throws {
            let box = try box(mode)
            let (first, exec) = try box.both("grep -E '^(Seccomp|NoNewPrivs)' /proc/self/status") {
                $0.user = .init(username: "web")
            }
            for result in [first, exec] {
                #expect(result["Seccomp"] == "2" && result["Seccomp_filters"] == "1", "\(result)")
                #expect(result["NoNewPrivs"] == "1", "\(result)")
            }
        }

        @Test func aFilterWithoutNoNewPrivilegesIsLoadedToo() throws {
            let box = try box(.host)
            box.spec.process?.noNewPrivileges = false
            box.spec.process?.user = .init(uid: 1000, gid: 1000)
            let outcome = try box.run(
                "grep -E '^(Seccomp|NoNewPrivs|CapEff)' /proc/self/status; hostile calls | grep ^bpf"
            )
            #expect(outcome["Seccomp"] == "2" && outcome["NoNewPrivs"] == "0" && outcome["bpf"] == "1", "\(outcome)")
            #expect(outcome["CapEff"] == "0000000000000000")
        }
    }
}
