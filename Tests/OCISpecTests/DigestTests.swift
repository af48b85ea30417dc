import OCISpec
import Testing

@Suite struct DigestTests {
    static let hex = String(repeating: "0123456789abcdef", count: 4)

    @Test func wellFormedTextIsKept() throws {
        let digest = try #require(Digest("sha256:\(Self.hex)"))
        #expect(digest.algorithm == .sha256)
        #expect(digest.hex == Self.hex)
        #expect(digest.description == "sha256:\(Self.hex)")
    }

    @Test(arguments: [
        "", "sha256", "sha256:", ":\(hex)", "sha256:\(hex)0", "sha256:\(hex.dropLast())", "sha256:\(hex.uppercased())",
        "sha256:../../../../../../../../../../../../../../../../../../../../..", "SHA256:\(hex)",
        "md5:\(hex.prefix(32))",
        "sha512:\(hex)", "sha256:\(hex.dropLast())\n", "sha256:\(hex.dropLast())/",
    ])
    func malformedTextIsRefused(_ text: String) {
        #expect(Digest(text) == nil)
    }

    @Test func rawBytesBecomeLowerCaseHex() {
        #expect(Digest(sha256: Array(repeating: UInt8(0xab), count: 32))?.hex == String(repeating: "ab", count: 32))
        #expect(Digest(sha256: [1, 2, 3]) == nil)
    }
}
