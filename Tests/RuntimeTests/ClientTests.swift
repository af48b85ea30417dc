import Foundation
import SystemFixture
import Testing

/// Programs that start containers by such a command, with all of theirs in a directory of the test's.
@Suite(.serialized) struct ClientTests {
    /// A shell with a function `p` for podman and an image `bb` of the fixture's root.
    private static func podman(_ fixture: RuntimeFixture, manager: String = "cgroupfs") -> String {
        let place = fixture.scratch.path
        return """
            cd \(place) && mkdir -p podman && export TMPDIR=\(place)/podman
            ip link set lo up
            # podman 4 gives --runtime-flag to create and start, and leaves it out for delete.
            printf '#!/bin/sh\\nexec \(RuntimeFixture.program) --root \(fixture.containers) "$@"\\n' > runtime; chmod +x runtime
            printf '[engine]\\nevents_logger="none"\\nstatic_dir="\(place)/podman/static"\\n' > podman/conf
            export CONTAINERS_CONF=\(place)/podman/conf
            # Where --userns=auto looks for its ids; seen in this mount namespace only.
            echo containers:1879048192:1048576 > podman/ids
            for file in /etc/subuid /etc/subgid; do mount --bind podman/ids $file; done
            p() { podman --root \(place)/podman/root --runroot \(place)/podman/run --tmpdir \(place)/podman/tmp \
                --storage-driver vfs --cgroup-manager \(manager) --runtime \(place)/runtime "$@"; }
            trap 'p rm -af -t 0 >/dev/null 2>&1' EXIT
            tar -C bundle/rootfs -cf bb.tar . && p import bb.tar bb >/dev/null 2>&1
            L='--network none --ulimit nofile=1024:1024 --ulimit nproc=1024:1024'

            """
    }

    private func expect(_ script: String, _ wanted: [String], manager: String = "cgroupfs") throws {
        let fixture = try RuntimeFixture()
        let outcome = try fixture.isolated(Self.podman(fixture, manager: manager) + script)
        #expect(outcome.lines == wanted, "\(outcome)")
        #expect(
            (try? FileManager.default.contentsOfDirectory(atPath: fixture.containers))?.filter { $0 != "@filters" }
                == []
        )
    }

    @Test func podmanRunsExecsAndStops() throws {
        try expect(
            """
            p run --rm $L bb sh -c 'echo hello; exit 3'; echo $?
            p run --rm $L bb no-such-program 2>/dev/null; echo $?
            p run --rm $L bb /bin 2>/dev/null; echo $?
            p run -d --name one $L bb sh -c 'trap "echo bye; exit 0" TERM; while true; do sleep 0.1; done' >/dev/null
            p exec one sh -c 'echo inside; exit 4'; echo $?
            p exec one no-such-program 2>/dev/null; echo $?
            p pause one >/dev/null; p inspect --format '{{.State.Status}}' one
            p unpause one >/dev/null; p inspect --format '{{.State.Status}}' one
            p stop one >/dev/null; p inspect --format '{{.State.Status}} {{.State.ExitCode}}' one; p logs one
            p start one >/dev/null; p kill one >/dev/null; p wait one; p rm one >/dev/null
            """,
            [
                "hello", "3", "127", "126", "inside", "4", "127", "paused", "running", "exited 0", "bye", "137",
            ]
        )
    }

    @Test func podmanGivesTerminals() throws {
        try expect(
            """
            script -qec "$(declare -f p); p run --rm -t $L bb sh -c 'test -t 0 && test -t 2 && echo a-terminal'" /dev/null |
                grep -c a-terminal
            p run -d --name two $L bb sleep 1000 >/dev/null
            script -qec "$(declare -f p); p exec -t two sh -c 'test -t 1 && echo exec-terminal'" /dev/null |
                grep -c exec-terminal
            """,
            ["1", "1"]
        )
    }

    @Test func podmanLimitsAndConfines() throws {
        try expect(
            """
            p run --rm $L --pids-limit 33 bb sh -c 'cat /sys/fs/cgroup/pids/pids.max 2>/dev/null || cat /sys/fs/cgroup/pids.max'
            p run --rm $L --cap-drop all --cap-add net_raw bb sh -c 'cat /proc/self/status' | grep CapPrm | tr -d '\\t'
            p run --rm $L --read-only --read-only-tmpfs=false --tmpfs /t:notmpcopyup bb sh -c 'touch /x 2>/dev/null || echo read-only; touch /t/x && echo tmpfs'
            echo data > file; p run --rm $L -v $PWD/file:/f:ro bb cat /f
            p run --rm $L --user 12:34 bb id -u
            p run -d --name well --health-cmd 'test -e /bin/sh' --health-interval disable $L bb sleep 1000 >/dev/null
            p healthcheck run well && echo healthy
            p run --rm $L --privileged bb sh -c 'test -e /dev/ptmx && echo privileged'
            """,
            ["33", "CapPrm:0000000000002000", "read-only", "tmpfs", "data", "12", "healthy", "privileged"]
        )
    }

    /// The container's root is another on the host, for it, for its later processes and for its files.
    @Test func podmanMapsOwners() throws {
        try expect(
            """
            ids='id -u; tr -s " " < /proc/self/uid_map; touch /x && stat -c %u:%g /x /bin'
            p run --rm $L --userns=auto bb sh -c "$ids"
            p run -d --name one $L --userns=auto:size=2000 bb sleep 1000 >/dev/null
            p run -d --name two $L --userns=auto:size=2000 bb sleep 1000 >/dev/null
            p exec one sh -c 'id -u; tr -s " " < /proc/self/uid_map'
            for name in one two; do stat -c %u /proc/$(p inspect --format '{{.State.Pid}}' $name); done
            p exec -u 7 two id -u; p exec two grep -c . /proc/self/gid_map
            """,
            [
                "0", " 0 1879048192 1024", "0:0", "0:0", "0", " 0 1879048192 2000", "1879048192", "1879050192", "7",
                "1",
            ]
        )
    }

    /// The limit is in the container's group, shows in the numbers that podman reads, and ends who goes beyond it.
    @Test func podmanLimitsMemory() throws {
        try expect(
            """
            G='cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max'
            p run --rm $L --memory 32m bb sh -c "$G"
            use='head -c 64m /dev/zero | tail -c 48m >/dev/null'
            p run --rm $L --memory 256m --memory-swap 256m bb sh -c "$use"; echo $?
            p run --name big $L --memory 16m --memory-swap 16m bb sh -c "$use"; echo $?
            p inspect --format '{{.State.ExitCode}}' big
            p run -d --name idle $L --memory 32m bb sh -c 'echo said; exec sleep 1000' >/dev/null
            p stats --no-stream --format '{{.Name}} {{.PIDs}} {{.MemUsage}}' idle | sed 's/ [0-9.]*k*M*B / N /'
            p logs idle; p top idle pid | tail -n 1 | tr -d ' '
            """,
            ["33554432", "0", "137", "137", "idle 1 N / 33.55MB", "said", "1"]
        )
    }

    /// As it does by itself where systemd is process 1: it calls the runtime with `--systemd-cgroup`.
    @Test(.enabled(if: systemdHasAll, "systemd with cgroup v2")) func podmanAsksForScopes() throws {
        try expect(
            """
            p run -d --name one $L --memory 64m bb sleep 1000 >/dev/null
            id=$(p inspect --format '{{.Id}}' one); pid=$(p inspect --format '{{.State.Pid}}' one)
            grep -c "^0::/machine.slice/libpod-$id.scope" /proc/$pid/cgroup
            systemctl show -P MemoryMax libpod-$id.scope; cat /sys/fs/cgroup/machine.slice/libpod-$id.scope/memory.max
            systemctl daemon-reload
            p exec one sh -c ': </dev/null && head -c 1 /dev/urandom | wc -c'
            p pause one >/dev/null; p unpause one >/dev/null; p stop -t 0 one >/dev/null
            p rm one >/dev/null; systemctl show -P ActiveState libpod-$id.scope
            p run --rm $L --memory 16m --memory-swap 16m bb sh -c 'head -c 64m /dev/zero | tail -c 48m >/dev/null'; echo $?
            """,
            ["1", "67108864", "67108864", "1", "inactive", "137"],
            manager: "systemd"
        )
    }

    @Test func buildahBuilds() throws {
        let fixture = try RuntimeFixture()
        let place = fixture.scratch.path
        // Says which runtime was called; buildah has several ways to run a step.
        let script = """
            cd \(place) && mkdir -p buildah/context && export TMPDIR=\(place)/buildah
            printf '#!/bin/sh\\necho "$@" >> \(place)/calls\\nexec \(RuntimeFixture.program) "$@"\\n' > runtime; chmod +x runtime
            tar -C bundle/rootfs -cf buildah/context/base.tar .; echo data > buildah/context/file
            printf 'FROM scratch\\nADD base.tar /\\nRUN echo one > /one\\nWORKDIR /work\\nCOPY file .\\nRUN cat file /one && pwd\\n' \
                > buildah/context/Dockerfile
            printf 'USER 12:34\\nRUN id -u; exit 5\\n' >> buildah/context/Dockerfile
            buildah --root \(place)/buildah/root --runroot \(place)/buildah/run --storage-driver vfs build --isolation oci \
                --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --runtime \(place)/runtime --network none \
                --runtime-flag root=\(fixture.containers) buildah/context 2>/dev/null | grep -v STEP
            echo ${PIPESTATUS[0]}; grep -c start calls
            """
        let outcome = try fixture.isolated(script)
        #expect(outcome.lines == ["data", "one", "/work", "12", "5", "3"], "\(outcome)")
    }

    /// containerd's shim calls this runtime for `runc` where it stands in its place.
    @Test(arguments: ["wholeLife", "exec", "terminal", "pause", "limitIsChanged", "signal"])
    func containerdsShimCallsIt(_ checks: String) throws {
        let fixture = try RuntimeFixture()
        let suite = Binaries.path("shim-conformance")
        let outcome = try fixture.isolated(
            """
            mount --bind \(RuntimeFixture.program) /usr/sbin/runc
            exec \(suite) /usr/bin/containerd-shim-runc-v2 --protocol --only \(checks)
            """
        )
        #expect(outcome.status == 0, "\(outcome)")
        #expect(outcome.lines.contains { $0.contains(" ok ") })
    }
}
