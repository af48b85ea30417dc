import Foundation
import SystemFixture
import Testing

extension SystemTests {
    /// Bad input: a clear refusal with the right status, nothing half-made, and the daemon alive.
    @Suite struct BadInputTests {
        @Test func refusalsLeaveNothing() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("create", "--name", "taken", "berth/default", "true")
                func refuse(_ options: String..., status: Int32 = 125) throws {
                    let outcome = try daemon.client(["run", "--rm"] + options).finish()
                    #expect(outcome.status == status, "\(options): \(outcome)")
                    #expect(!outcome.errors.isEmpty)
                }
                try refuse("no/such:image", "true")
                try refuse("not an image", "true")
                try refuse("--name", "bad name", "berth/default", "true")
                try refuse("--name", "taken", "berth/default", "true")
                try refuse("-u", "nobody-of-that-name", "berth/default", "true")
                try refuse("-u", "4294967296", "berth/default", "true")
                try refuse("-v", "/nothing/there:/x", "berth/default", "true")
                try refuse("-v", "/etc:relative", "berth/default", "true")
                try refuse("--mount", "type=bind,source=/nothing/there,target=/x", "berth/default", "true")
                try refuse("--memory", "1k", "berth/default", "true")
                try refuse("--memory", "many", "berth/default", "true")
                try refuse("--cap-add", "NOT_A_CAPABILITY", "berth/default", "true")
                try refuse("--security-opt", "seccomp=/nothing/there", "berth/default", "true")
                try refuse("--ulimit", "nofile=x", "berth/default", "true")
                try refuse("--restart", "sometimes", "berth/default", "true")
                try refuse("--network", "nothing-of-that-name", "berth/default", "true")
                try refuse("--sysctl", "kernel.shm_rmid_forced=1\nkernel.core_pattern=x", "berth/default", "true")
                try refuse("berth/default", "nothing-of-that-name", status: 127)
                try refuse("berth/default", "/etc/passwd", status: 126)
                #expect(try daemon.ok("ps", "-a", "--format", "{{.Names}}") == "taken")
                #expect(try daemon.ok("run", "--rm", "berth/default", "echo", "alive") == "alive")
            }
        }

        @Test func emptyNamesAreNamed() throws {
            try Daemon.with { (daemon) throws in
                let verbs: [[String]] = [
                    ["start"], ["stop"], ["kill"], ["restart"], ["rm"], ["pause"], ["unpause"], ["logs"], ["wait"],
                    ["stats"],
                    ["inspect"], ["attach"], ["top"], ["update", "--memory", "1g"], ["exec", "ls"],
                    ["container", "inspect"],
                    ["shim", "upgrade"],
                ]
                for verb in verbs {
                    let outcome = try daemon.client(verb + [""]).finish()
                    #expect(outcome.status != 0 && outcome.errors.contains("empty"), "\(verb): \(outcome)")
                }
                for (words, thing) in [
                    (["attach", "--exec", ""], "exec session"), (["exec", "", "true"], "container"),
                    (["rmi", ""], "image"),
                    (["history", ""], "image"), (["profile", "show", ""], "profile"),
                    (["profile", "rm", ""], "profile"),
                    (["backend", "info", ""], "backend"), (["rename", "", "x"], "container"),
                ] {
                    let outcome = try daemon.client(words).finish()
                    #expect(
                        outcome.status != 0 && outcome.errors.contains("of the \(thing) is empty"),
                        "\(words): \(outcome)"
                    )
                }
            }
        }

        @Test func execLsIsTheListUnlessAContainerIsCalledSo() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "1000")
                try daemon.ok("exec", "-d", "one", "sleep", "999")
                let id = try daemon.ok("exec", "ls", "-q", "one")
                #expect(id.count == 64)
                let row = try daemon.ok("exec", "ls", "--format", "json", "one")
                #expect(row.contains("\"ID\":\"\(id)\"") && row.contains("sleep 999"), "\(row)")
                #expect(try daemon.ok("exec", "ls", "one", "--format", "{{.ID}}") == id)
                #expect(try daemon.ok("exec", "one", "ls", "-d", "/").contains("/"))
                for words in [["exec", "ls"], ["exec", "ls", "one", "extra"], ["exec", "ls", "--nonsense", "one"]] {
                    let outcome = try daemon.client(words).finish()
                    #expect(outcome.status == 125 && outcome.errors.contains("exec ls"), "\(words): \(outcome)")
                }
                #expect(try daemon.ok("exec", "ls", "--help").contains("berth exec ls"))
                let absent = try daemon.client(["exec", "ls", "none"]).finish()
                #expect(absent.status == 1 && absent.errors.contains("'ls'"), "\(absent)")
                let session = try daemon.client(["exec", "-i", "ls", "one"]).finish()
                #expect(session.status == 1 && session.errors.contains("ls"), "\(session)")
                // Docker's users have a container of any name.
                try daemon.ok("run", "-d", "--name", "ls", "berth/default", "sleep", "1000")
                #expect(try daemon.ok("exec", "ls", "echo", "inside") == "inside")
                #expect(try daemon.ok("exec", "ls", "hostname").count == 12)
                try daemon.ok("rm", "-f", "one", "ls")
            }
        }

        @Test func numbersOutOfRangeAreNamed() throws {
            try Daemon.with { (daemon) throws in
                func answer(_ method: String, _ path: String) throws -> String {
                    let words = ["-s", "-m", "5", "-X", method, "-w", " %{http_code}", "--unix-socket", daemon.socket]
                    return try Command("curl", words + ["http://berth/v1.51\(path)"], in: daemon.scratch).finish().text
                }
                try daemon.ok("create", "--name", "one", "berth/default")
                for (method, path, number) in [
                    ("GET", "/berth/v1/events?after=-1", "-1"), ("GET", "/berth/v1/denials?follow=1&after=-7", "-7"),
                    ("GET", "/berth/v1/events?after=99999999999999999999", "99999999999999999999"),
                    ("POST", "/containers/one/resize?h=-1&w=80", "-1"),
                    ("POST", "/containers/one/resize?h=24&w=65536", "65536"),
                    ("GET", "/berth/v1/events?after=x", "'x'"),
                ] {
                    let found = try answer(method, path)
                    #expect(found.hasSuffix("400") && found.contains(number), "\(path): \(found)")
                }
            }
        }

        @Test func wrongRequestsAreAnswered() throws {
            try Daemon.with { (daemon) throws in
                func status(_ arguments: String...) throws -> String {
                    let options = ["-s", "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket", daemon.socket]
                    return try Command("curl", options + arguments, in: daemon.scratch).finish().text
                }
                let json = "Content-Type: application/json"
                let create = "http://berth/v1.51/containers/create"
                #expect(try status("-H", json, "-d", "{", create) == "400")
                #expect(try status("-H", json, "-d", "{\"Image\":5}", create) == "400")
                for seconds in ["-99999999999", "-2", "2147483648", "9223372036854775807"] {
                    let body = #"{"Image":"berth/default","StopTimeout":\#(seconds)}"#
                    #expect(try status("-H", json, "-d", body, create) == "400", "\(seconds)")
                    let stop = "http://berth/v1.51/containers/nobody/stop?t=\(seconds)"
                    #expect(try ["400", "404"].contains(status("-X", "POST", stop)), "\(seconds)")
                }
                // What is not understood must not be passed over here: it would replace the manager.
                let upgrade = "http://berth/berth/v1/upgrade"
                for body in [#"{"binary":5}"#, #"{"Binary":5}"#, #"{"Check":"yes"}"#, #"{"Program":"/x"}"#, "[]"] {
                    #expect(try status("-H", json, "-d", body, upgrade) == "400", "\(body)")
                }
                #expect(try status("-H", "Content-Type: text/plain", "-d", "{}", create) == "400")
                #expect(try status("http://berth/v1.99/version") == "400")
                #expect(try status("http://berth/v1.1/version") == "400")
                #expect(try status("http://berth/v1.51/nothing/there") == "404")
                #expect(try status("-X", "PUT", "http://berth/v1.51/version") == "404")
                #expect(try status("http://berth/v1.51/containers/nobody/json") == "404")
                #expect(try status("http://berth/v1.51/containers/json?filters=nonsense") == "400")
                #expect(try status("-X", "POST", "http://berth/v1.51/containers/nobody/start") == "404")
                let large = daemon.scratch.appendingPathComponent("large").path
                try Data().write(to: URL(fileURLWithPath: large))
                try FileHandle(forWritingTo: URL(fileURLWithPath: large)).truncate(atOffset: 100 << 20)
                #expect(
                    try ["400", "413"].contains(
                        status("-H", json, "-H", "Expect:", "--data-binary", "@\(large)", create)
                    )
                )
                #expect(try daemon.ok("run", "--rm", "berth/default", "echo", "alive") == "alive")
            }
        }

        @Test func aSocketInUseIsRefused() throws {
            try Daemon.with { (daemon) throws in
                let options = ["--root", daemon.root.path, "--state", daemon.state.path]
                let second = try Command(
                    "unshare",
                    ["--net", "--", Binaries.path("berthd")] + options,
                    in: daemon.scratch
                )
                let outcome = try second.finish(within: 20)
                #expect(outcome.status != 0)
                #expect(try daemon.ok("run", "--rm", "berth/default", "echo", "alive") == "alive")
            }
        }

        @Test func hostileArchivesAreRefused() throws {
            try Daemon.with { (daemon) throws in
                let canary = daemon.scratch.appendingPathComponent("canary").path
                let script = Self.archives(canary: canary)
                let made = try Command("bash", ["-c", "cd '\(daemon.scratch.path)' && \(script)"], in: daemon.scratch)
                    .finish()
                try #require(made.status == 0, "\(made)")
                let before = try daemon.ok("images", "-q")
                for name in ["noise", "truncated", "digest", "dotdot", "hardlink"] {
                    let file = daemon.scratch.appendingPathComponent("\(name).tar").path
                    let loaded = try daemon.berth("load", "-i", file)
                    let ran = try daemon.berth("run", "--rm", "hostile/\(name)", "/bin/sh", "-c", "true")
                    #expect(loaded.status != 0 || ran.status != 0, "\(name) was taken: \(loaded) \(ran)")
                    if loaded.status == 0 { try daemon.berth("rmi", "-f", "hostile/\(name)") }
                }
                #expect(!FileManager.default.fileExists(atPath: canary))
                let after = try daemon.ok("images", "-q")
                let list = try daemon.ok("images")
                #expect(after == before, "\(list)")
                #expect(try daemon.ok("run", "--rm", "berth/default", "echo", "alive") == "alive")
            }
        }

        /// A script that makes the archives: each is the default image with one thing wrong.
        private static func archives(canary: String) -> String {
            """
            set -e
            make=\(Binaries.repository.path)/tools/make-image
            for name in truncated digest dotdot hardlink; do $make --name "hostile/$name:latest" "$name.tar"; done
            head -c 100000 /dev/urandom > noise.tar
            truncate -s 200000 truncated.tar
            rebuild() { # NAME LAYER: the archive NAME with LAYER as its only layer
                rm -rf work && mkdir work && tar -C work -xf "$1.tar"
                manifest=$(sed -E 's/.*"digest":"sha256:([0-9a-f]+)".*/\\1/' work/index.json)
                config=$(sed -E 's/.*config.v1.json","digest":"sha256:([0-9a-f]+)".*/\\1/' "work/blobs/sha256/$manifest")
                old=$(sed -E 's/.*diff_ids":\\["sha256:([0-9a-f]+)".*/\\1/' "work/blobs/sha256/$config")
                new=$(sha256sum "$2" | cut -d ' ' -f 1)
                old_size=$(stat -c %s "work/blobs/sha256/$old")
                cp "$2" "work/blobs/sha256/$new"
                sed -i "s/$old/$new/" "work/blobs/sha256/$config"
                config_new=$(sha256sum "work/blobs/sha256/$config" | cut -d ' ' -f 1)
                mv "work/blobs/sha256/$config" "work/blobs/sha256/$config_new"
                sed -i "s/$old/$new/; s/$config/$config_new/; s/:$old_size/:$(stat -c %s "$2")/" "work/blobs/sha256/$manifest"
                manifest_new=$(sha256sum "work/blobs/sha256/$manifest" | cut -d ' ' -f 1)
                mv "work/blobs/sha256/$manifest" "work/blobs/sha256/$manifest_new"
                sed -i "s/$manifest/$manifest_new/; s/\\"size\\":[0-9]*/\\"size\\":$(stat -c %s "work/blobs/sha256/$manifest_new")/" work/index.json
                tar -C work -cf "$1.tar" .
            }
            # A layer whose bytes are not those that its digest promises.
            rm -rf work && mkdir work && tar -C work -xf digest.tar
            layer=$(find work/blobs -type f -size +100k)
            printf x | dd of="$layer" bs=1 seek=5000 conv=notrunc status=none
            tar -C work -cf digest.tar .
            # A name that leads out of the layer.
            echo out > '\(canary).source'
            tar -P --transform 's,.*,../../../../../../../../\(canary),' -cf evil.tar '\(canary).source'
            rebuild dotdot evil.tar
            # A hard link to a file of the host's.
            mkdir -p links && echo x > links/a && ln -f links/a links/b
            tar -P -C links --transform 'flags=h;s,.*,../../../../../../../etc/passwd,' -cf evil.tar a b
            rebuild hardlink evil.tar
            """
        }
    }
}
