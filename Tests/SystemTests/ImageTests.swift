import Foundation
import SystemFixture
import Testing

extension SystemTests {
    /// Images: load, list, tag, remove.
    @Suite struct ImageTests {
        @Test func listTagRemove() throws {
            try Daemon.with { (daemon) throws in
                #expect(try daemon.ok("images", "--format", "{{.Repository}}:{{.Tag}}") == "berth/default:latest")
                try daemon.ok("tag", "berth/default", "other/name:v1")
                let names = try daemon.ok("images", "--format", "{{.Repository}}:{{.Tag}}").split(separator: "\n")
                    .sorted()
                #expect(names == ["berth/default:latest", "other/name:v1"])
                #expect(try daemon.ok("run", "--rm", "other/name:v1", "echo", "x") == "x")
                #expect(try daemon.ok("rmi", "other/name:v1").contains("Untagged: other/name:v1"))
                try daemon.ok("create", "--name", "user", "berth/default", "true")
                #expect(try daemon.berth("rmi", "berth/default").status == 1)
                try daemon.ok("rm", "user")
                #expect(try daemon.ok("rmi", "berth/default").contains("Deleted: sha256:"))
                #expect(try daemon.ok("images", "-q") == "")
            }
        }

        @Test func inspectAndHistory() throws {
            try Daemon.with { (daemon) throws in
                #expect(
                    try daemon.ok("image", "inspect", "--format", "{{.Os}} {{index .Config.Cmd 0}}", "berth/default")
                        == "linux /bin/sh"
                )
                #expect(try daemon.ok("history", "--format", "{{.CreatedBy}}", "berth/default") == "busybox")
            }
        }

        @Test func archivesOfOtherToolsLoad() throws {
            try Daemon.with { (daemon) throws in
                let folder = daemon.scratch
                let script = """
                    set -e
                    export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs
                    store="--root \(folder.path)/buildah --runroot \(folder.path)/buildah-run"
                    mkdir -p rootfs/bin && cp /bin/busybox rootfs/bin/busybox && ln -s busybox rootfs/bin/sh && ln -s busybox rootfs/bin/cat
                    c=$(buildah $store from scratch)
                    buildah $store copy "$c" rootfs / >/dev/null
                    buildah $store config --cmd '["/bin/sh","-c","echo built; exit 11"]' --env WHO=me --workingdir /bin "$c"
                    buildah $store commit "$c" image >/dev/null
                    buildah $store push image oci-archive:oci.tar:tests/built:oci
                    buildah $store push image docker-archive:docker.tar:tests/built:docker
                    """
                let built = try Command("bash", ["-c", "cd '\(folder.path)' && \(script)"], in: folder).finish(
                    within: 120
                )
                try #require(built.status == 0, "\(built)")
                try daemon.ok("load", "-i", folder.appendingPathComponent("oci.tar").path)
                try daemon.ok("load", "-i", folder.appendingPathComponent("docker.tar").path)
                for tag in ["oci", "docker"] {
                    let outcome = try daemon.berth("run", "--rm", "tests/built:\(tag)")
                    #expect(outcome.status == 11)
                    #expect(outcome.text == "built")
                    #expect(
                        try daemon.ok("run", "--rm", "tests/built:\(tag)", "sh", "-c", "echo $WHO; pwd") == "me\n/bin"
                    )
                }
            }
        }
    }
}
