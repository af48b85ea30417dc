import Kernel
import OCISpec
import ProbeSupport
import Seccomp
import Testing

/// Calls of 32-bit programs, which have another table of numbers and an old way to the network.
@Suite struct OldCallTests {
    /// Machine code of a 32-bit program: socket(AF_ALG), socket(AF_INET), socketcall(SYS_SOCKET, AF_INET), one after the other; writes
    /// the three results as 32-bit numbers and exits.
    static let code: [UInt8] = [
        0x83, 0xec, 0x40, 0xb8, 0x67, 0x01, 0x00, 0x00, 0xbb, 0x26, 0x00, 0x00, 0x00, 0xb9, 0x05, 0x00, 0x00, 0x00,
        0x31, 0xd2,
        0xcd, 0x80, 0x89, 0x04, 0x24, 0xb8, 0x67, 0x01, 0x00, 0x00, 0xbb, 0x02, 0x00, 0x00, 0x00, 0xb9, 0x02, 0x00,
        0x00, 0x00,
        0x31, 0xd2, 0xcd, 0x80, 0x89, 0x44, 0x24, 0x04, 0xc7, 0x44, 0x24, 0x20, 0x02, 0x00, 0x00, 0x00, 0xc7, 0x44,
        0x24, 0x24,
        0x02, 0x00, 0x00, 0x00, 0xc7, 0x44, 0x24, 0x28, 0x00, 0x00, 0x00, 0x00, 0xb8, 0x66, 0x00, 0x00, 0x00, 0xbb,
        0x01, 0x00,
        0x00, 0x00, 0x8d, 0x4c, 0x24, 0x20, 0xcd, 0x80, 0x89, 0x44, 0x24, 0x08, 0xb8, 0x04, 0x00, 0x00, 0x00, 0xbb,
        0x01, 0x00,
        0x00, 0x00, 0x89, 0xe1, 0xba, 0x0c, 0x00, 0x00, 0x00, 0xcd, 0x80, 0xb8, 0x01, 0x00, 0x00, 0x00, 0x31, 0xdb,
        0xcd, 0x80,
    ]

    /// The program as a file: a header, one segment, the code.
    static var program: [UInt8] {
        let base: UInt32 = 0x0804_8000
        let size = UInt32(84 + code.count)
        func words(_ values: [UInt32]) -> [UInt8] {
            values.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) } }
        }
        let identity: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 3, 0]
        let header = words([1, base + 84, 52, 0, 0]) + [52, 0, 32, 0, 1, 0, 40, 0, 0, 0, 0, 0]
        return identity + header + words([1, 0, base, base, size, size, 5, 0x1000]) + code
    }

    func results(_ box: ContainerFixture) throws -> [Int32]? {
        let outcome = try box.run("/bin/old | od -An -td4 -v")
        let numbers = outcome.output.split(whereSeparator: { $0 == " " || $0 == "\n" }).compactMap { Int32($0) }
        return numbers.count == 3 ? numbers : nil
    }

    func runs(_ path: String) throws(KernelError) -> Bool {
        do {
            let child = try Spawn(arguments: ["old"]).start(path)
            _ = try child.pidfd.wait()
            return true
        } catch {
            if error.errno == .execFormat { return false }
            throw error
        }
    }

    @Test func theDefaultProfileBindsThemToo() throws {
        let box = try ContainerFixture()
        try File.writeAtomically(box.root + "/bin/old", Self.program, mode: 0o755, durable: false)
        try box.link("/bin/od", to: "busybox")
        // A kernel without 32-bit emulation has no such calls to bind.
        guard try runs(box.root + "/bin/old") else { return }
        let free = try #require(try results(box))
        #expect(free[0] != -1 && free[1] >= 0 && free[2] >= 0)
        box.spec.linux?.seccomp = DefaultProfile.profile(capabilities: [])
        let bound = try #require(try results(box))
        #expect(bound[0] == -1)
        // The network is theirs, also by the old way, which nothing can look into.
        #expect(bound[1] >= 0 && bound[2] >= 0)
    }
}
