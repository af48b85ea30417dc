import ContainerIO
import Testing

@Suite struct StdCopyTests {
    @Test func frameHasItsDocumentedBytes() {
        var frame: [UInt8] = []
        StdCopy.append([0x68, 0x69], stream: .stderr, to: &frame)
        //               stream  zeros    length      h     i
        #expect(frame == [2, 0, 0, 0, 0, 0, 0, 2, 0x68, 0x69])
        withUnsafeBytes(of: StdCopy.header(.stderr, count: 2)) { #expect(Array($0) == Array(frame[..<8])) }
    }

    @Test(arguments: 1...20) func framesSurviveAnyCutting(_ size: Int) throws {
        var wire: [UInt8] = []
        StdCopy.append(Array("first".utf8), stream: .stdout, to: &wire)
        StdCopy.append([], stream: .stderr, to: &wire)
        StdCopy.append(Array("second".utf8), stream: .stderr, to: &wire)
        StdCopy.append(Array("third".utf8), stream: .stdout, to: &wire)
        var decoder = StdCopyDecoder()
        var out: [UInt8] = []
        var err: [UInt8] = []
        for start in stride(from: 0, to: wire.count, by: size) {
            try decoder.decode(wire[start..<min(start + size, wire.count)]) { source, bytes in
                if source == .stdout { out += bytes } else { err += bytes }
            }
        }
        #expect(decoder.isAtBoundary)
        #expect(
            String(decoding: out, as: UTF8.self) == "firstthird" && String(decoding: err, as: UTF8.self) == "second"
        )
    }

    @Test func garbageIsRefused() {
        var decoder = StdCopyDecoder()
        #expect(throws: StdCopyDecoder.Failure.unknownStream(72)) {
            try decoder.decode(Array("HTTP/1.1".utf8)[...]) { _, _ in }
        }
        var second = StdCopyDecoder()
        #expect(throws: StdCopyDecoder.Failure.frameTooLong(0xff00_0000)) {
            try second.decode([1, 0, 0, 0, 0xff, 0, 0, 0]) { _, _ in }
        }
    }
}

@Suite struct DetachKeysTests {
    @Test func keysAreRead() {
        #expect(DetachKeys("ctrl-p,ctrl-q") == .standard)
        #expect(DetachKeys("") == .standard)
        #expect(
            DetachKeys("a,ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_,ctrl-Z")?.bytes == [97, 0, 27, 28, 29, 30, 31, 26]
        )
        for bad in ["ctrl-", "ctrl-pp", "ab", ",", "ctrl-1", "alt-x"] { #expect(DetachKeys(bad) == nil) }
    }

    func run(_ keys: String, _ pieces: [String]) throws -> (output: String, detached: Bool) {
        var matcher = DetachMatcher(try #require(DetachKeys(keys)))
        var output: [UInt8] = []
        for piece in pieces where matcher.feed(Array(piece.utf8), into: &output) {
            return (String(decoding: output, as: UTF8.self), true)
        }
        matcher.finish(into: &output)
        return (String(decoding: output, as: UTF8.self), false)
    }

    @Test func sequenceIsFoundAcrossPieces() throws {
        #expect(try run("ctrl-p,ctrl-q", ["ab\u{10}", "\u{11}cd"]) == ("ab", true))
        #expect(try run("ctrl-p,ctrl-q", ["ab\u{10}", "c\u{11}"]) == ("ab\u{10}c\u{11}", false))
        #expect(try run("ctrl-p,ctrl-q", ["\u{10}\u{10}\u{11}x"]) == ("\u{10}", true))
    }

    @Test func beginningOfASequenceIsGivenOutAtTheEnd() throws {
        #expect(try run("ctrl-p,ctrl-q", ["ls\u{10}"]) == ("ls\u{10}", false))
    }

    @Test func sequenceThatRepeatsItselfIsFound() throws {
        #expect(try run("a,a,b", ["aaab"]) == ("a", true))
        #expect(try run("a,b,a,c", ["ab", "ab", "ac"]) == ("ab", true))
    }

    @Test func noKeysNeverDetach() throws {
        var matcher = DetachMatcher(.none)
        var output: [UInt8] = []
        #expect(!matcher.feed([0x10, 0x11], into: &output))
        #expect(output == [0x10, 0x11])
    }
}
