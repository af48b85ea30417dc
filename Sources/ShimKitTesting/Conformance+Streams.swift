internal import Kernel
internal import ShimProtocol
internal import SwiftProtobuf

extension Conformance {
    /// Standard input and output.
    static let streams: [Check] = [
        Check(name: "hugeOutputIsComplete", body: hugeOutput),
        Check(name: "closedInputEndsTheProcess") { program in
            let container = try ConformanceContainer(program, "cat; echo end", input: true)
            try container.run()
            try container.streams.write("one\n")
            try container.wait("the echo") { container.streams.text == "one\n" }
            try container.streams.write("two\n")
            container.streams.closeInput()
            try container.closeInput()
            try requireEqual(container.waitForExit(), 0, "status")
            try container.delete()
            try container.endOfOutput()
            try requireEqual(container.streams.text, "one\ntwo\nend\n", "output")
        },
        Check(name: "clientThatGoesAwayEndsNoInput") { program in
            let container = try ConformanceContainer(program, "cat; echo end", input: true)
            try container.run()
            try container.streams.write("one\n")
            container.streams.closeInput()
            try container.wait("the echo") { container.streams.text == "one\n" }
            try requireEqual(container.state().status, .running, "state")
            try container.closeInput()
            try requireEqual(container.waitForExit(), 0, "status")
        },
        Check(name: "execReadsItsInput") { program in
            let container = try ConformanceContainer(program, "sleep 1000")
            try container.run()
            let streams = try container.makeStreams("e", input: true)
            try container.addExec("e", .init("cat"), streams)
            try container.start("e")
            try streams.write("typed\n")
            streams.closeInput()
            try container.closeInput("e")
            try requireEqual(container.waitForExit("e", also: [streams]), 0, "status")
            try container.delete("e")
            try container.endOfOutput(streams)
            try requireEqual(streams.text, "typed\n", "output")
        },
        Check(name: "terminalHasItsSize", body: terminal),
        Check(name: "terminalMergesTheOutputs") { program in
            let container = try ConformanceContainer(program, "echo out; echo err >&2; exit 2", terminal: true)
            try container.run()
            try requireEqual(container.waitForExit(), 2, "status")
            try container.delete()
            try container.endOfOutput()
            try requireEqual(container.streams.text, "out\r\nerr\r\n", "output")
        },
        Check(name: "execHasATerminal") { program in
            let container = try ConformanceContainer(program, "sleep 1000")
            try container.run()
            let streams = try container.makeStreams("e", input: true, terminal: true)
            try container.addExec(
                "e",
                .init("test -t 0 && test -t 1 && read line && echo got $line", terminal: true),
                streams
            )
            try container.start("e")
            try streams.write("typed\n")
            try requireEqual(container.waitForExit("e", also: [streams]), 0, "status")
            try container.delete("e")
            try container.endOfOutput(streams)
            try require(streams.text.hasSuffix("got typed\r\n"), "output: \(streams.text)")
        },
        Check(name: "grandchildThatHoldsTheOutputDelaysNoExit") { program in
            let container = try ConformanceContainer(program, "sleep 1000")
            try container.run()
            let streams = try container.makeStreams("e")
            try container.addExec("e", .init("sleep 1000 & echo started"), streams)
            let start = Clock.monotonic.now
            try container.start("e")
            try requireEqual(container.waitForExit("e", also: [streams]), 0, "status")
            try require(Clock.monotonic.now - start < .seconds(5), "the exit came after \(Clock.monotonic.now - start)")
            try container.wait("the output", also: [streams]) { streams.text == "started\n" }
        },
    ]

    private static func hugeOutput(_ program: ShimProgram) throws {
        let container = try ConformanceContainer(program, "yes 0123456789abcde | head -c 104857600")
        container.streams.expectedLine = Array("0123456789abcde\n".utf8)
        try container.run()
        try requireEqual(container.waitForExit(), 0, "status")
        try container.delete()
        try container.endOfOutput()
        try requireEqual(container.streams.byteCount, 100 << 20, "bytes of output")
        try require(container.streams.isAsExpected, "the output is not what was written")
    }

    private static func terminal(_ program: ShimProgram) throws {
        let container = try ConformanceContainer(
            program,
            "read line; stty size; read line; stty size",
            terminal: true,
            input: true
        )
        try container.run()
        try container.resize(width: 123, height: 45)
        try container.streams.write("\n")
        try container.wait("the first size") { container.streams.text.contains("45 123\r\n") }
        try container.resize(width: 80, height: 24)
        try container.streams.write("\n")
        try container.wait("the second size") { container.streams.text.contains("24 80\r\n") }
        try requireEqual(container.waitForExit(), 0, "status")
    }
}
