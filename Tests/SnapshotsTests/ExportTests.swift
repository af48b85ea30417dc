import Archive
import ContentStore
import Kernel
import OCISpec
import Testing

@Suite(.serialized)
struct ExportTests {
    @Test func whatIsExportedIsImportedHereAndElsewhere() throws {
        let scratch = try Scratch()
        let store = try scratch.store()
        let name = try ImageReference(parsing: "team/box:2")
        let layers = [Tar.of([(.file("a"), [1])]), Tar.of([(.file("b"), [2])])]
        let image = try store.makeImage(
            layers: layers.map { BytesSource($0) },
            config: .init(command: ["/a"]),
            reference: name
        )
        var archive: [UInt8] = []
        try store.exportArchive([.init(image: image, references: [name])]) { (bytes) throws(ArchiveError) in
            archive += bytes
        }
        try File.writeAtomically(scratch.path + "/out.tar", archive, durable: false)
        let other = try ContentStore(path: scratch.path + "/other")
        let imported = try other.importArchive(scratch.source("out.tar"))
        #expect(imported == [try #require(imported.first)])
        #expect(imported[0].image == image && imported[0].references == [name])
        let text = try scratch.run(
            "skopeo --insecure-policy copy -q docker-archive:out.tar:team/box:2 dir:d && skopeo --insecure-policy copy -q oci-archive:out.tar dir:e && sha256sum d/* e/* | grep -c \(image.id.hex)"
        )
        #expect(text == "2\n")
    }
}
