import Foundation
import SystemFixture
import Testing

private func areThere(_ programs: String...) -> Bool {
    programs.allSatisfy { program in
        (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").contains { folder in
            FileManager.default.isExecutableFile(atPath: "\(folder)/\(program)")
        }
    }
}

extension SystemTests {
    /// A profile that was learned here serves others: the workload works, and a call that it does not make is refused.
    @Suite struct ProfileExportTests {
        /// The workload, and then one call more.
        private static let script = "\(ProfileUseTests.work); mkdir /tmp/d 2>&1; [ -d /tmp/d ] || echo refused"
        private static let lesson = "\(ProfileUseTests.work); [ -d /tmp/d ] || echo refused"
        private static let wanted = [
            "hi", "x", "y", "mkdir: can't create directory '/tmp/d': Operation not permitted", "refused",
        ]

        /// A manager that has learned the workload, and the file that it exports.
        private func exported(_ body: (Daemon, String) throws -> Void) throws {
            try Daemon.with { daemon in
                let learned = try ProfileUseTests.learn(daemon, "web", Self.lesson)
                #expect(learned.status == 0, "\(learned)")
                try daemon.ok("profile", "promote", "web")
                let file = daemon.scratch.appendingPathComponent("web.json").path
                try daemon.ok("profile", "export", "-o", file, "web")
                try body(daemon, file)
            }
        }

        /// Runs a script in namespaces without a network and without an effect on the host's mounts.
        private func isolated(_ daemon: Daemon, _ script: String) throws -> Outcome {
            let words = [
                "-n", "-m", "--propagation", "private", "bash", "-c", "set -eu\ncd \(daemon.scratch.path)\n" + script,
            ]
            return try Command("unshare", words, in: daemon.scratch).finish(within: 120)
        }

        /// crun wants one version of cgroups.
        private static let root = """
            ! mountpoint -q /sys/fs/cgroup/unified || umount /sys/fs/cgroup/unified
            mkdir -p bundle/rootfs/bin bundle/rootfs/proc bundle/rootfs/dev bundle/rootfs/sys bundle/rootfs/tmp
            cp /usr/bin/busybox bundle/rootfs/bin/
            for name in sh ls cat mkdir; do ln -s busybox bundle/rootfs/bin/$name; done

            """

        @Test(.enabled(if: areThere("runc", "crun"), "needs runc and crun"), arguments: ["runc", "crun"])
        func runtimesTakeIt(runtime: String) throws {
            try exported { daemon, file in
                let outcome = try isolated(
                    daemon,
                    Self.root
                        + """
                        cd bundle && \(runtime) spec
                        jq --slurpfile filter \(file) --arg script "$SCRIPT" '.process.args = ["sh", "-c", $script] |
                            .process.terminal = false | .linux.seccomp = $filter[0] |
                            .mounts += [{destination: "/tmp", type: "tmpfs", source: "tmpfs"}]' config.json > new
                        mv new config.json
                        \(runtime) --root $PWD/../runs run exported-$$
                        """.replacing("$SCRIPT", with: Self.script)
                )
                #expect(outcome.lines == Self.wanted, "\(outcome)")
            }
        }

        @Test(
            .enabled(if: areThere("podman", "runc", "crun"), "needs podman"),
            arguments: ["/usr/sbin/runc", "/usr/bin/crun"]
        )
        func podmanTakesIt(runtime: String) throws {
            try exported { daemon, file in
                let outcome = try isolated(
                    daemon,
                    Self.root + """
                        ip link set lo up; mkdir podman; export TMPDIR=$PWD/podman
                        printf '[engine]\\nevents_logger="none"\\nstatic_dir="'$PWD'/podman/static"\\n' > podman/conf
                        export CONTAINERS_CONF=$PWD/podman/conf
                        p() { podman --root $TMPDIR/root --runroot $TMPDIR/run --tmpdir $TMPDIR/tmp --storage-driver vfs \\
                            --cgroup-manager cgroupfs --runtime \(runtime) "$@"; }
                        tar -C bundle/rootfs -cf bb.tar . && p import bb.tar bb >/dev/null 2>&1
                        p run --rm --network none --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --cap-drop all --read-only \\
                            --security-opt no-new-privileges --security-opt seccomp=\(file) bb sh -c "\(Self.script)"
                        """
                )
                #expect(outcome.lines == Self.wanted, "\(outcome)")
            }
        }

        /// There is no other engine to try docker's client with.
        @Test(.enabled(if: areThere("docker"), "needs the docker client")) func dockersClientTakesIt() throws {
            try exported { daemon, file in
                let outcome = try daemon.docker(
                    "run",
                    "--rm",
                    "--network",
                    "none",
                    "--read-only",
                    "--tmpfs",
                    "/tmp",
                    "--security-opt",
                    "seccomp=\(file)",
                    "berth/default",
                    "sh",
                    "-c",
                    Self.script
                )
                #expect(outcome.lines == Self.wanted, "\(outcome)")
                #expect(try daemon.docker("info", "--format", "{{.DefaultRuntime}}").text == "native")
            }
        }
    }
}
