import ArgumentParser
import Testing
import berth

@Suite struct DetachKeysTests {
    @Test func theSequenceLeavesAndIsSwallowed() {
        var keys = DetachKeys.default
        let typed = keys.scan([97, 16, 17, 98])
        #expect(typed.forward == [97])
        #expect(typed.isDetached)
    }

    @Test func theSequenceMayComeInPieces() {
        var keys = DetachKeys.default
        #expect(keys.scan([16]).forward == [])
        #expect(keys.scan([17]).isDetached)
    }

    @Test func whatIsNotTheSequenceIsPassedOn() {
        var keys = DetachKeys.default
        let first = keys.scan([16, 97])
        #expect(first.forward == [16, 97])
        #expect(!first.isDetached)
        #expect(keys.scan([16, 16, 97]).forward == [16, 16, 97])
        #expect(keys.scan([16, 16, 17]).isDetached)
    }

    @Test func spellings() throws {
        var keys = try DetachKeys(parsing: "ctrl-a,x")
        #expect(keys.scan([1, 120]).isDetached)
        for wrong in ["", "ctrl-", "ctrl-1", "ab", "a,,b"] {
            #expect(throws: Failure.self) { try DetachKeys(parsing: wrong) }
        }
    }
}

@Suite struct ValueTests {
    @Test(arguments: [
        ("64m", 64 << 20), ("1.5g", 3 << 29), ("100", 100), ("10b", 10), ("2KiB", 2048), ("7kb", 7168), ("-1", -1),
        ("0", 0),
    ])
    func sizes(text: String, bytes: Int) throws {
        #expect(try Value.bytes(text, "memory") == bytes)
    }

    @Test(arguments: ["", "m", "many", "-2", "1x", "9999999p"])
    func notSizes(text: String) {
        #expect(throws: Failure.self) { try Value.bytes(text, "memory") }
    }

    @Test func limits() throws {
        #expect(try Value.ulimit("nofile=10:20") == ("nofile", 10, 20))
        #expect(try Value.ulimit("core=unlimited") == ("core", -1, -1))
        for wrong in ["nofile", "nofile=", "nofile=x", "nofile=1:2:3"] {
            #expect(throws: Failure.self) { try Value.ulimit(wrong) }
        }
    }

    @Test func durationsAndMoments() throws {
        #expect(Value.duration("1h30m") == .seconds(5400))
        #expect(Value.duration("250ms") == .milliseconds(250))
        #expect(Value.duration("5") == nil)
        #expect(try Value.moment("1700000000.5", "since") == "1700000000.5")
        #expect(try Value.moment("2023-11-14T22:13:20Z", "since") == "1700000000.000000000")
        #expect(try Value.moment("2023-11-14T22:13:20", "since") == "1700000000.000000000")
        #expect(try Value.moment("2023-11-14", "since") == "1699920000.000000000")
        #expect(throws: Failure.self) { try Value.moment("yesterday", "since") }
    }

    @Test func filters() throws {
        #expect(try Value.filters([]) == nil)
        #expect(
            try Value.filters(["label=a=b", "label=c", "status=exited"])
                == #"{"label":["a=b","c"],"status":["exited"]}"#
        )
        #expect(throws: Failure.self) { try Value.filters(["label"]) }
    }
}

@Suite struct OptionTests {
    /// Backends have names; what is none is said before a manager is asked.
    @Test(arguments: [
        ("", "the name of the backend is empty"), ("./shim", "berth backend test ./shim"),
        ("/usr/bin/shim", "'/usr/bin/shim' is a path"),
    ])
    func namesOfBackends(name: String, text: String) {
        #expect {
            try Berth.parseAsRoot(["backend", "info", name])
        } throws: { error in
            Berth.message(for: error).contains(text)
        }
    }

    /// As in Docker's command line, the word behind such an option is its value, also when it begins with a dash.
    @Test(arguments: [
        ["run", "--memory-swap", "-1", "i"], ["create", "--pids-limit", "-1", "i"], ["logs", "--tail", "-1", "c"],
        ["run", "--oom-score-adj", "-500", "i"], ["stop", "-t", "-1", "c"], ["update", "--cpu-quota", "-1", "c"],
    ])
    func negativeNumbersAreValues(words: [String]) throws {
        #expect(throws: Never.self) { try Berth.parseAsRoot(words) }
    }

    /// An empty value is a value; a word that is not berth's own stays as it is.
    @Test(
        arguments: [
            (["run", "--userns=", "i", "c"], ["run", "--userns", "", "i", "c"]),
            (
                ["-H", "x", "create", "--rm=", "--entrypoint=", "i"],
                ["-H", "x", "create", "--rm=", "--entrypoint", "", "i"]
            ),
            (["--host=", "ps"], ["--host", "", "ps"]), (["ps", "--filter=", "-a"], ["ps", "--filter", "", "-a"]),
            (["logs", "c", "--tail="], ["logs", "c", "--tail", ""]),
            (["run", "i", "--userns="], ["run", "i", "--userns="]),
            (["run", "-it", "i", "--userns="], ["run", "-it", "i", "--userns="]),
            (["run", "-ite", "A=1", "--userns=", "i"], ["run", "-ite", "A=1", "--userns", "", "i"]),
            (["run", "--name", "--userns=", "i"], ["run", "--name", "--userns=", "i"]),
            (["exec", "--user=", "c", "--user="], ["exec", "--user", "", "c", "--user="]),
            (["run", "--", "--userns="], ["run", "--", "--userns="]), (["ps", "--unknown="], ["ps", "--unknown="]),
            (["image", "inspect", "--format=", "i"], ["image", "inspect", "--format", "", "i"]),
        ] as [([String], [String])]
    )
    func emptyValues(words: [String], spelled: [String]) throws {
        #expect(try EmptyValues.spelledOut(words) == spelled)
    }

    @Test func anEmptyValueDoesNotTakeTheNextWord() throws {
        for (words, isRight) in [(["run", "--userns=", "i"], true), (["run", "--stop-timeout=", "i"], false)] {
            let command = try? Berth.parseAsRoot(EmptyValues.spelledOut(words))
            #expect((command != nil) == isRight, "\(words)")
        }
    }
}

@Suite struct HumanTests {
    @Test(arguments: [(0, "0B"), (999, "999B"), (1000, "1kB"), (4_510_000, "4.51MB"), (25_000_000_000, "25GB")])
    func sizes(bytes: Int, text: String) {
        #expect(Human.size(bytes) == text)
    }

    @Test(arguments: [
        (0, "Less than a second"), (1, "1 second"), (59, "59 seconds"), (60, "About a minute"), (300, "5 minutes"),
        (3600, "About an hour"), (7200, "2 hours"), (172_800, "2 days"),
    ])
    func durations(seconds: Int, text: String) {
        #expect(Human.duration(seconds: seconds) == text)
    }

    @Test func fixedDecimals() {
        #expect(Human.fixed(1.005, 1) == "1.0")
        #expect(Human.fixed(0.5, 0) == "1")
        #expect(Human.fixed(-2.346, 2) == "-2.35")
        #expect(Human.fixed(.infinity, 2) == "--")
    }
}
