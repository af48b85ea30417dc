import Foundation
import Kernel
import OCISpec
import SystemFixture
import Testing

extension SecurityTests {
    /// Row 3: an exec that a container with CAP_SYS_PTRACE wants to take over.
    @Suite struct TakeoverTests {
        // 3: a process that enters the container before it is confined ------------------------------------------------

        @Test(arguments: [Box.Mode.user])
        func anExecCannotBeTakenOverBeforeItIsTheProgram(_ mode: Box.Mode) throws {
            let box = try Box(mode)
            let sets = (box.spec.process?.capabilities?.bounding ?? []) + ["CAP_SYS_PTRACE"]
            box.spec.process?.capabilities = .init(bounding: sets, effective: sets, permitted: sets)
            box.preamble = "exec 9< /"
            var exec = box.script("")
            exec.args = ["/bin/true"]
            let file = "\(box.path)/exec.json"
            try File.writeAtomically(file, Array(JSONEncoder().encode(exec)), durable: false)
            var end = exec
            end.args = ["/bin/touch", "/bin/end"]
            try File.writeAtomically("\(box.path)/end.json", Array(JSONEncoder().encode(end)), durable: false)
            box.options = ["--exec", file, "--exec", "\(box.path)/end.json", "--exec-times", "500", "--wait"]
            box.spec.process?.args = ["/bin/hostile", "hunt", "/bin/end"]
            let outcome = try box.run()
            let tally = outcome.lines.last ?? ""
            print("row 3 (\(mode)): \(tally)")
            #expect(tally.contains("foreign=0"), "\(outcome)")
            // The hunter hunts: it has seen processes and was let into finished ones.
            #expect(!tally.contains("seen=0 ") && !tally.contains("attached=0 "), "\(outcome)")
        }
    }
}
