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
            let (outcome, tally) = try hunt(try Box(mode), ["hunt", "/bin/end"])
            #expect(tally.contains("foreign=0"), "\(outcome)")
            // The hunter hunts: it has seen processes and was let into finished ones.
            #expect(!tally.contains("seen=0 ") && !tally.contains("attached=0 "), "\(outcome)")
        }

        /// Where the kernel lets the hunter in, there is nothing to take.
        @Test func anExecThatIsTakenOverHasNothingOfItsMaker() throws {
            let box = try Box(.host)
            // The maker has read it, as all of the document; no process of the container was given it but the hunter, who has to
            // know what to look for.
            let mark = "mark-" + Random.hex(16)
            box.spec.annotations = ["berth.test/mark": mark]
            let (outcome, tally) = try hunt(box, ["rob", "/bin/end", mark])
            #expect(tally.contains("foreign=0"), "\(outcome)")
            // It has had processes in its hands that were not the program yet, and all their memory: the pages of the last steps.
            let early = Self.number("early", tally)
            #expect(early > 0 && Self.number("sockets", tally) <= early, "\(outcome)")
            #expect((1...(64 << 10)).contains(Self.number("most", tally)), "\(outcome)")
        }

        /// A number of the tally, -1 without it.
        private static func number(_ name: String, _ tally: String) -> Int {
            let word = tally.split(separator: " ").first { $0.hasPrefix("\(name)=") }
            return word.flatMap { Int($0.dropFirst(name.count + 1)) } ?? -1
        }

        /// Makes 500 execs in a container that hunts them.
        private func hunt(_ box: Box, _ words: [String]) throws -> (outcome: Box.Result, tally: String) {
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
            box.spec.process?.args = ["/bin/hostile"] + words
            let outcome = try box.run()
            let tally = outcome.lines.last ?? ""
            print("row 3 (\(box.mode)): \(tally)")
            return (outcome, tally)
        }
    }
}
