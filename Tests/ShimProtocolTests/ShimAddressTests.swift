import Kernel
import ShimProtocol
import SwiftProtobuf
import Testing

/// What `start` prints, in the forms of every version of containerd.
@Suite struct ShimAddressTests {
    private static func address(_ text: String) -> ShimAddress? { ShimAddress(Array(text.utf8)) }

    @Test(arguments: [
        ("unix:///run/s/0", 2), ("unix:///run/s/0\n", 2),
        (#"{"version":2,"address":"unix:///run/s/0","protocol":"ttrpc"}"#, 2),
        (#"{"version":3,"address":"unix:///run/s/0","protocol":"ttrpc"}"#, 3), (#"{"address":"unix:///run/s/0"}"#, 2),
    ])
    func paths(text: String, version: Int) throws {
        let address = try #require(Self.address(text))
        #expect(address.places == [.path("/run/s/0")] && address.path == "/run/s/0" && address.version == version)
    }

    @Test func bootstrapResults() throws {
        let result = ContainerdBootstrapResult.with {
            ($0.version, $0.address, $0.protocol) = (3, "unix:///run/s/0", "ttrpc")
        }
        let address = try #require(ShimAddress(result.bytes))
        #expect(address.places == [.path("/run/s/0")] && address.version == 3)
    }

    /// What has no `unix://` is an abstract name, as containerd dials it; a path is what it may have been meant as.
    @Test func bareTexts() throws {
        let name = Array("shim0".utf8)
        #expect(Self.address("shim0")?.places == [.abstract(name), .abstract(name + [0])])
        #expect(Self.address("@shim0")?.places == [.abstract(name), .abstract(name + [0])])
        #expect(Self.address("unix://@shim0")?.places == [.abstract(name), .abstract(name + [0])])
        let path = Array("/run/s/0".utf8)
        #expect(Self.address("/run/s/0")?.places == [.abstract(path), .abstract(path + [0]), .path("/run/s/0")])
        #expect(
            Self.address(#"{"version":2,"address":"shim0"}"#)?.places == [.abstract(name), .abstract(name + [0])]
        )
    }

    @Test(arguments: [
        "", "\n", "some words", "vsock://3:1024", "hvsock:///run/x:1", "unix://", "unix://relative", "unix://@",
        #"{"version":4,"address":"unix:///x"}"#, #"{"version":2,"address":"unix:///x","protocol":"grpc"}"#, "{", "{}",
        #"{"version":2,"address":"a b"}"#, "a\u{0}b",
    ])
    func whatIsNone(text: String) {
        #expect(Self.address(text) == nil)
    }
}
