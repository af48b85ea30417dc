internal import Kernel

extension ShimProgram {
    /// containerd's own shim with runc, where distributions install it; what it passes proves the suite.
    public static let containerdRunc = ShimProgram(
        name: "runc",
        path: "/usr/bin/containerd-shim-runc-v2",
        exceptions: ["deleteOfNothingSucceeds": "its delete wants a file that only its Create writes"]
    )

    /// The same shim with crun.
    public static let containerdCrun: ShimProgram = {
        var program = ShimProgram(name: "crun", path: containerdRunc.path)
        program.runtime = "/usr/bin/crun"
        // crun takes no hierarchies of both versions at once: the shim does not see the second where it is beside the first.
        if File.exists("/sys/fs/cgroup/unified/cgroup.controllers") {
            program.prefix = [
                "/usr/bin/unshare", "-m", "--propagation", "private", "/bin/sh", "-ec",
                "umount /sys/fs/cgroup/unified; exec \"$0\" \"$@\"",
            ]
        }
        return program
    }()
}
