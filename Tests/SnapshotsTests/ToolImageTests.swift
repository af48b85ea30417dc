import ContentStore
import Foundation
import Kernel
import OCISpec
import Snapshots
import Testing

/// Images that other tools made, all of them with the same two layers.
@Suite(.serialized)
struct ToolImageTests {
    /// Builds an image with umoci: a busybox base, and a layer that deletes, replaces and links.
    private func layout(_ scratch: Scratch) throws {
        try scratch.run(
            """
            umoci init --layout oci && umoci new --image oci:base
            umoci unpack --image oci:base b1 >/dev/null
            mkdir -p b1/rootfs/bin b1/rootfs/etc b1/rootfs/run b1/rootfs/var b1/rootfs/gone/deep
            cp /bin/busybox b1/rootfs/bin/busybox; ln b1/rootfs/bin/busybox b1/rootfs/bin/sh
            ln -s /run b1/rootfs/var/run; echo one > b1/rootfs/etc/text; echo old > b1/rootfs/gone/deep/old
            chmod 4755 b1/rootfs/bin/busybox; chown 7:8 b1/rootfs/etc/text
            umoci repack --image oci:base b1 >/dev/null
            umoci config --image oci:base --config.cmd /bin/sh --config.env A=b
            umoci unpack --image oci:base b2 >/dev/null
            rm -r b2/rootfs/gone; echo two > b2/rootfs/etc/more; echo new > b2/rootfs/gone
            umoci repack --image oci:top b2 >/dev/null
            """
        )
    }

    private func verify(_ images: [ImportedImage], _ scratch: Scratch, _ store: ContentStore) throws {
        let image = try #require(images.first).image
        #expect(image.layers.count == 2)
        #expect(image.config.config?.command == ["/bin/sh"])
        let snapshots = try scratch.snapshots()
        let mounts = try snapshots.prepare(container: "c1", image: image, from: store)
        let mount = try #require(mounts.first)
        #expect(mount.type == "overlay")
        let options = mount.options.joined(separator: ",")
        let seen = try scratch.run(
            """
            mkdir -p m; unshare -m --propagation private bash -euc '
            mount -t overlay overlay -o \(options) m; cd m
            stat -c "%a %u %g %h" bin/busybox etc/text; readlink var/run; cat etc/text etc/more gone
            chroot . /bin/sh -c "echo from inside > /var/run/x"; cat run/x'
            """
        )
        #expect(seen == "4755 0 0 2\n644 7 8 1\n/run\none\ntwo\nnew\nfrom inside\n")
        let below = try #require(image.layers.first).chainID.hex
        #expect(File.exists(scratch.path + "/snapshots/layers/\(below)/fs/gone/deep/old"))
        #expect(try snapshots.usage(container: "c1").entries > 0)
        #expect(try snapshots.remove(container: "c1"))
        #expect(try snapshots.collectGarbage(keeping: []).count == 2)
        #expect(try snapshots.layers().isEmpty)
    }

    @Test func layoutDirectory() throws {
        let scratch = try Scratch()
        try layout(scratch)
        let store = try scratch.store()
        let images = try store.importLayout(at: scratch.path + "/oci")
        #expect(images.count == 2)
        try verify(Array(images.suffix(1)), scratch, store)
    }

    @Test(arguments: ["oci-archive:out.tar:docker.io/library/box:1", "docker-archive:out.tar:box:1"])
    func archiveBySkopeo(_ destination: String) throws {
        let scratch = try Scratch()
        try layout(scratch)
        try scratch.run("skopeo --insecure-policy copy -q oci:oci:top \(destination)")
        let store = try scratch.store()
        let images = try store.importArchive(scratch.source("out.tar"))
        #expect(images.map { $0.references.map(\.familiar) } == [["box:1"]])
        try verify(images, scratch, store)
        let named = try store.image(named: ImageReference(parsing: "box:1"))
        #expect(named == images[0].image)
    }

    @Test(arguments: ["gzip", "zstd"])
    func compressedArchive(_ tool: String) throws {
        let scratch = try Scratch()
        try layout(scratch)
        try scratch.run("umoci rm --image oci:base; tar -C oci -c . | \(tool) > out")
        let store = try scratch.store()
        try verify(try store.importArchive(scratch.source("out")), scratch, store)
    }

    /// What the store writes is a layout that others read.
    @Test func storeIsALayout() throws {
        let scratch = try Scratch()
        try layout(scratch)
        try scratch.run("skopeo --insecure-policy copy -q oci:oci:top docker-archive:out.tar:box:1")
        let store = try scratch.store()
        _ = try store.importArchive(scratch.source("out.tar"))
        let text = try scratch.run(
            "umoci stat --image content:docker.io/library/box:1 --json | head -c 1; umoci ls --layout content"
        )
        #expect(text == "{docker.io/library/box:1\n")
        try scratch.run("skopeo --insecure-policy copy -q oci:content:docker.io/library/box:1 dir:copied")
    }

    @Test func imageOfBuildah() throws {
        let scratch = try Scratch()
        try scratch.run(
            """
            b="buildah --storage-driver vfs --root $PWD/b --runroot $PWD/r"
            c=$($b from scratch); mkdir -p t/bin t/etc; cp /bin/busybox t/bin/sh; echo hi > t/etc/text
            $b copy -q $c t / >/dev/null; $b config --cmd '["/bin/sh"]' $c; $b commit -q --disable-compression=false $c oci-archive:o.tar:box:2 >/dev/null
            """
        )
        let store = try scratch.store()
        let images = try store.importArchive(scratch.source("o.tar"))
        #expect(images.first?.references.map(\.familiar) == ["box:2"])
        let image = try #require(images.first).image
        try scratch.snapshots().unpack(image, from: store)
        let fs = scratch.path + "/snapshots/layers/\(image.layers[0].chainID.hex)/fs"
        #expect(try File.readText(fs + "/etc/text") == "hi\n")
    }
}
