import Foundation
import SystemFixture
import Testing

extension SystemTests {
    /// Root in a container is nobody on the host, and nothing else is different for it.
    @Suite struct UserNamespaceTests {
        /// First id on the host and number of ids of a container.
        func range(_ name: String, _ daemon: Daemon) throws -> (first: Int, size: Int) {
            let text = try daemon.field(".Berth.UserNamespace.HostID}} {{.Berth.UserNamespace.Size", name)
            let numbers = text.split(separator: " ").compactMap { Int($0) }
            try #require(numbers.count == 2, "\(name) has no ids: \(text)")
            return (numbers[0], numbers[1])
        }

        func mode(_ name: String, _ daemon: Daemon) throws -> String {
            try daemon.field(".Berth.UserNamespace.Mode", name)
        }

        /// The real user of a container's first process, as the host sees it.
        func hostUser(_ name: String, _ daemon: Daemon) throws -> Int {
            let pid = try daemon.field(".State.Pid", name)
            let status = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
            let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("Uid:") })
            return Int(line.split(separator: "\t")[1]) ?? -1
        }

        func owner(_ path: String) throws -> [Int] {
            let facts = try FileManager.default.attributesOfItem(atPath: path)
            return [facts[.ownerAccountID], facts[.groupOwnerAccountID]].map { ($0 as? NSNumber)?.intValue ?? -1 }
        }

        func folder(_ name: String, _ daemon: Daemon) throws -> String {
            let folder = daemon.scratch.appendingPathComponent(name)
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            return folder.path
        }

        // What is inside --------------------------------------------------------------------------------------------

        @Test func rootInsideIsNobodyOutside() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "1000")
                try daemon.ok("run", "-d", "--name", "two", "berth/default", "sleep", "1000")
                let (one, two) = (try range("one", daemon), try range("two", daemon))
                #expect(one.first >= 65_536 && one.size == 65_536 && two.size == 65_536)
                #expect(abs(one.first - two.first) >= 65_536)
                #expect(try hostUser("one", daemon) == one.first)
                #expect(try hostUser("two", daemon) == two.first)
                #expect(try daemon.ok("exec", "one", "id", "-u") == "0")
                // The root of an exec, and what lies above the root of both, is the image and nothing else.
                let roots = "stat -c %d:%i / /.. /usr/.. /proc/1/root/.. | sort -u | wc -l; cat /etc/os-release"
                let image = "1\nNAME=\"Berth default image\"\nID=berth"
                #expect(try daemon.ok("exec", "one", "sh", "-c", roots) == image)
                #expect(try daemon.ok("run", "--rm", "berth/default", "sh", "-c", roots) == image)
                let map = try daemon.ok("exec", "one", "cat", "/proc/self/uid_map", "/proc/self/gid_map")
                let numbers = map.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
                #expect(numbers == [0, one.first, 65_536, 0, one.first, 65_536])
                #expect(try mode("one", daemon) == "auto")
                #expect(try daemon.field(".HostConfig.UsernsMode", "one") == "")
            }
        }

        @Test func aDefaultContainerIsConfined() throws {
            try Daemon.with { (daemon) throws in
                let script = """
                    grep -E '^(CapInh|CapAmb|Seccomp|NoNewPrivs):' /proc/self/status | tr '\\t' ' '
                    cat /proc/1/cgroup | sed 's/.*://' | sort -u
                    ls /proc/self/fd | tr '\\n' ' '; echo
                    readlink /proc/self/ns/cgroup
                    """
                let lines = try daemon.ok("run", "--rm", "berth/default", "sh", "-c", script).split(separator: "\n")
                    .map(String.init)
                try #require(lines.count == 7, "\(lines)")
                for line in ["CapInh: 0000000000000000", "CapAmb: 0000000000000000", "Seccomp: 2", "NoNewPrivs: 1"] {
                    #expect(lines.contains(line))
                }
                #expect(lines[4] == "/", "the cgroup namespace is not its own: \(lines)")
                // Standard streams, and the descriptor of the listing itself.
                #expect(lines[5] == "0 1 2 3 ")
                let hosts = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/cgroup")
                #expect(lines[6] != hosts && lines[6].hasPrefix("cgroup:["))
            }
        }

        /// What the bundle says is masked is empty inside, and nothing that the specification's users mask is left out.
        @Test func maskedPathsAreMasked() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "1000")
                let file = daemon.state.path + "/containers/\(try daemon.field(".Id", "one"))/config.json"
                let document = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: file)))
                let linux = try #require((document as? [String: Any])?["linux"] as? [String: Any])
                let masked = try #require(linux["maskedPaths"] as? [String])
                for path in [
                    "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys",
                    "/proc/latency_stats",
                    "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/firmware",
                ] { #expect(masked.contains(path)) }
                let script = """
                    for f in "$@"; do
                        if [ -d "$f" ]; then ls -A "$f"; (: > "$f/x") 2>/dev/null && echo "$f"
                        elif [ -e "$f" ]; then head -c 1 "$f" | wc -c | grep -v 0; fi
                        [ -e "$f" ] && echo seen >&2
                    done; true
                    """
                let outcome = try daemon.client(["exec", "one", "sh", "-c", script, "sh"] + masked).finish()
                #expect(outcome.status == 0 && outcome.output.isEmpty, "something masked shows: \(outcome)")
                #expect(outcome.errors.contains("seen"), "none is there: \(outcome)")
            }
        }

        /// Every file below the places through which the host could be changed is opened for writing; none may be.
        @Test func noCgroupSysctlOrHostPathCanBeWritten() throws {
            try Daemon.with { (daemon) throws in
                let host = try folder("host", daemon)
                try "host".write(toFile: host + "/file", atomically: false, encoding: .utf8)
                let script = """
                    for place in /sys /proc/sys /proc/sysrq-trigger /proc/bus /proc/fs /proc/irq /host; do
                        find $place -xdev -type f 2>/dev/null | while read -r file; do
                            (: >>"$file") 2>/dev/null && echo "$file"
                        done
                        find $place -xdev -type d 2>/dev/null | while read -r directory; do
                            mkdir "$directory/made" 2>/dev/null && echo "$directory/"
                        done
                    done
                    find /sys/fs/cgroup -type f | while read -r file; do (: >>"$file") 2>/dev/null && echo "$file"; done
                    find /sys/fs/cgroup -type d | while read -r d; do mkdir "$d/made" 2>/dev/null && echo "$d/"; done
                    mount -o remount,rw /sys 2>/dev/null && echo remounted; mount -t tmpfs x /mnt 2>/dev/null && echo mounted
                    mount -t cgroup2 x /tmp 2>/dev/null && echo cgroup; unshare -Ur true 2>/dev/null && echo nested
                    hostname changed 2>/dev/null && echo hostname; mknod /tmp/disk b 254 0 2>/dev/null && echo device
                    echo end
                    """
                let outcome = try daemon.berth(
                    "run",
                    "--rm",
                    "-v",
                    host + ":/host:ro",
                    "berth/default",
                    "sh",
                    "-c",
                    script,
                    within: 120
                )
                #expect(outcome.text == "end", "\(outcome)")
            }
        }

        // Files -----------------------------------------------------------------------------------------------------

        @Test func bindsAndVolumesAreWrittenWithTheIdsOfTheContainer() throws {
            try Daemon.with { (daemon) throws in
                let shared = try folder("shared", daemon)
                chmod(shared, 0o777)
                chown(shared, 0, 0)
                let script =
                    "touch /b/root /v/root && stat -c '%u:%g' /b /b/root /etc/hosts /etc/resolv.conf /etc/hostname /dev/shm"
                let seen = try daemon.ok(
                    "run",
                    "--rm",
                    "-v",
                    shared + ":/b",
                    "-v",
                    "vol:/v",
                    "berth/default",
                    "sh",
                    "-c",
                    script
                )
                #expect(Set(seen.split(separator: "\n")) == ["0:0"], "\(seen)")
                try daemon.ok("run", "--rm", "-u", "1000:50", "-v", shared + ":/b", "berth/default", "touch", "/b/app")
                #expect(try owner(shared + "/root") == [0, 0])
                #expect(try owner(shared + "/app") == [1000, 50])
                #expect(try owner(daemon.root.path + "/volumes/vol/_data/root") == [0, 0])
                // Another container, with other ids on the host, sees the same owners.
                let other = try daemon.ok(
                    "run",
                    "--rm",
                    "-v",
                    shared + ":/b",
                    "-v",
                    "vol:/v",
                    "berth/default",
                    "stat",
                    "-c",
                    "%u:%g",
                    "/b/app",
                    "/v/root"
                )
                #expect(other == "1000:50\n0:0")
            }
        }

        @Test func writableLayerBelongsToRootOnDisk() throws {
            try Daemon.with { (daemon) throws in
                let script =
                    "touch /new && chown 1000:1000 /home/app && echo x >>/etc/passwd && rm -r /usr && mkdir /usr && touch /done && exec sleep 1000"
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sh", "-c", script)
                try eventually("it has written") {
                    try daemon.berth("exec", "one", "test", "-e", "/done").status == 0
                }
                let id = try daemon.field(".Id", "one")
                let upper = daemon.root.path + "/snapshots/containers/\(id)/upper"
                #expect(try owner(upper + "/new") == [0, 0])
                #expect(try owner(upper + "/etc/passwd") == [0, 0])
                #expect(try owner(upper + "/home/app") == [1000, 1000])
                try daemon.ok("restart", "-t", "0", "one")
                #expect(try daemon.ok("exec", "one", "stat", "-c", "%u:%g", "/new", "/home/app") == "0:0\n1000:1000")
            }
        }

        @Test func usersOfImageAndOption() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "-u", "1000", "berth/default", "sleep", "1000")
                let first = try range("one", daemon).first
                #expect(try hostUser("one", daemon) == first + 1000)
                #expect(try daemon.ok("exec", "one", "id", "-u") == "1000")
                #expect(try daemon.ok("exec", "-u", "0", "one", "id", "-u") == "0")
                #expect(try daemon.ok("exec", "-u", "daemon", "one", "id", "-u") == "1")
                #expect(try daemon.ok("exec", "-u", "0", "one", "sh", "-c", "touch /x && stat -c %u /x") == "0")
            }
        }

        @Test func layersReadRight() throws {
            try Daemon.with { (daemon) throws in
                let (one, two) = (try folder("one", daemon), try folder("two", daemon))
                let make = """
                    mkdir -p \(one)/d \(one)/r \(two)/d \(two)/bin
                    touch \(one)/d/old \(one)/gone \(one)/keep \(one)/r/old
                    touch \(two)/d/new \(two)/d/.wh..wh..opq \(two)/.wh.gone
                    gcc -Os -static -s -o \(two)/bin/setuid \(Binaries.repository.path)/Tests/Support/credentials.c
                    cp \(two)/bin/setuid \(two)/bin/capable
                    chmod 4755 \(two)/bin/setuid
                    setcap cap_chown+ep \(two)/bin/capable
                    \(Binaries.repository.path)/tools/make-image --name layers:1 --layer \(one) --layer \(two) \(two).tar
                    """
                let made = try Command("bash", ["-euc", make], in: daemon.scratch).finish()
                try #require(made.status == 0, "\(made)")
                try daemon.ok("load", "-i", two + ".tar")
                for option in ["auto", "host"] {
                    func run(_ words: String...) throws -> String {
                        try daemon.client(["run", "--rm", "--userns", option] + words).finish().text
                    }
                    let seen = try run(
                        "layers:1",
                        "sh",
                        "-c",
                        "cd /; find d gone keep r -type f 2>/dev/null | sort | tr '\\n' ' '"
                    )
                    #expect(seen == "d/new keep r/old")
                    // Replacing an opaque directory again, in the container's own layer.
                    #expect(try run("layers:1", "sh", "-c", "rm -r /d && mkdir /d && ls -A /d | wc -l") == "0")
                    let free = "no-new-privileges=false"
                    #expect(try run("-u", "1000", "layers:1", "setuid").hasPrefix("1000 "))
                    #expect(try run("-u", "1000", "--security-opt", free, "layers:1", "setuid").hasPrefix("0 "))
                    #expect(
                        try run("-u", "1000", "layers:1", "sh", "-c", "capable").contains("CapEff=0000000000000000")
                    )
                    #expect(
                        try run("-u", "1000", "--security-opt", free, "layers:1", "capable")
                            == "1000 CapInh=0000000000000000 CapEff=0000000000000001 CapAmb=0000000000000000"
                    )
                }
            }
        }

        @Test func volumeTakesTheImagesFiles() throws {
            try Daemon.with { (daemon) throws in
                let seen = try daemon.ok(
                    "run",
                    "--rm",
                    "-v",
                    "etc:/etc",
                    "berth/default",
                    "sh",
                    "-c",
                    "stat -c %u:%g /etc/passwd && id -un && echo x >>/etc/passwd"
                )
                #expect(seen == "0:0\nroot")
            }
        }

        @Test func whatCannotBeMappedIsMountedWithAWarning() throws {
            try Daemon.with { (daemon) throws in
                let outcome = try daemon.berth(
                    "create",
                    "--name",
                    "one",
                    "-v",
                    "/proc/tty:/tty",
                    "berth/default",
                    "ls",
                    "/tty"
                )
                #expect(outcome.status == 0)
                #expect(outcome.errors.contains("/tty") && outcome.errors.contains("proc"), "\(outcome)")
                #expect(try daemon.berth("start", "-a", "one").status == 0)
                let silent = try daemon.berth("create", "-v", "/tmp:/t", "--userns", "host", "berth/default", "true")
                #expect(!silent.errors.contains("/t "), "\(silent)")
            }
        }
    }
}
