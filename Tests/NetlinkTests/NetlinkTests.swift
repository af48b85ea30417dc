import Netlink
import ProbeSupport
import Testing

@Suite struct NetlinkTests {
    @Test func loopbackComesUp() throws {
        let result = try Probe.run("loopback")
        #expect(result["error"] == nil, "\(result.output)")
        #expect(result["before"] == "false")
        #expect(result["after"] == "true")
        #expect(result["v6"] == "true")
        #expect(result["unprivileged"] == "refused")
    }

    @Test func requestIsEncodedByteForByte() {
        let bytes = NetlinkMessage.setLinkFlags(index: 1, flags: 1, mask: 1).encoded(sequence: 7)
        #expect(
            bytes == [
                32, 0, 0, 0, 16, 0, 5, 0,  // length, RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK
                7, 0, 0, 0, 0, 0, 0, 0,  // sequence, port
                0, 0, 0, 0, 1, 0, 0, 0,  // family, type, index
                1, 0, 0, 0, 1, 0, 0, 0,  // flags, mask
            ]
        )
    }

    @Test func acknowledgementsAreFound() {
        let refusal: [UInt8] = [20, 0, 0, 0, 2, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]
        #expect(NetlinkAnswer.parse(refusal, sequence: 7) == .acknowledgement(1))
        #expect(NetlinkAnswer.parse(refusal, sequence: 8) == .other)
        let other: [UInt8] = [17, 0, 0, 0, 16, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0]
        #expect(NetlinkAnswer.parse(other + refusal, sequence: 7) == .acknowledgement(1))
        #expect(NetlinkAnswer.parse([], sequence: 7) == .other)
    }

    @Test func malformedAnswersAreRefused() {
        let good: [UInt8] = [20, 0, 0, 0, 2, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        for count in 1..<good.count { #expect(NetlinkAnswer.parse(Array(good[..<count]), sequence: 7) == nil) }
        for length: UInt8 in [0, 15, 16, 19, 21, 255] {
            var bytes = good
            bytes[0] = length
            #expect(NetlinkAnswer.parse(bytes, sequence: 7) == nil)
        }
        var endless = good
        endless.replaceSubrange(0..<4, with: [0xff, 0xff, 0xff, 0xff])
        #expect(NetlinkAnswer.parse(endless, sequence: 7) == nil)
    }
}
