import ContentStore
import OCISpec
import Testing

struct ImageReferenceTests {
    static let digest = "sha256:" + String(repeating: "ab", count: 32)
    /// Names without a domain and what they are in full, below the default domain.
    static let short: [(String, String)] = [
        ("busybox", "library/busybox"), ("busybox:1", "library/busybox:1"), ("team/app", "team/app"),
        ("a/b/c:v1.2_x-y", "a/b/c:v1.2_x-y"), ("busybox@" + digest, "library/busybox@" + digest),
        ("a__b/c--d.e_f", "a__b/c--d.e_f"), ("library/x", "library/x"),
    ]
    static let other = ["localhost/x:1", "example.test/a/b", "example.test:5000/a:tag", "host:1/x@" + digest]
    static let wrong = [
        "", "Busybox", "a//b", "/a", "a/", "a:", ":x", "a@", "a@sha256:xyz", "a b", "a/../b", "..", "a:b:c", "-a", "a-",
        "a___b", "a..b", "a:" + String(repeating: "t", count: 129), String(repeating: "a", count: 256), "a:-x", "a\n",
        String(repeating: "0123456789abcdef", count: 4), "host:99999/x", "host:x/y", "a.-b/c", "a@b@c", "a/ä", "a:ä",
    ]

    @Test(arguments: short) func shortNames(_ text: String, _ full: String) throws {
        let reference = try ImageReference(parsing: text)
        #expect(reference.description == ImageReference.defaultDomain + "/" + full)
        #expect(reference.familiar == (text == "library/x" ? "x" : text))
        #expect(try ImageReference(parsing: reference.description) == reference)
    }

    @Test(arguments: other) func namesWithADomain(_ text: String) throws {
        let reference = try ImageReference(parsing: text)
        #expect(reference.description == text)
        #expect(reference.familiar == text)
    }

    @Test(arguments: wrong) func whatIsNoName(_ text: String) {
        #expect(throws: ContentError.self) { try ImageReference(parsing: text) }
    }

    @Test func defaultTag() throws {
        #expect(try ImageReference(parsing: "x").tagged.familiar == "x:latest")
        #expect(try ImageReference(parsing: "x:1").tagged.familiar == "x:1")
        #expect(try ImageReference(parsing: "x@" + Self.digest).tagged.tag == nil)
        #expect(try ImageReference(parsing: "x:1").with(tag: "2").familiar == "x:2")
        #expect(throws: ContentError.self) { try ImageReference(parsing: "x").with(tag: "a/b") }
    }
}
