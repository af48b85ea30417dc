import Client
import Testing

@Suite struct StdcopyTests {
    private static let frames: [UInt8] =
        [1, 0, 0, 0, 0, 0, 0, 3] + Array("abc".utf8)  // standard output
        + [2, 0, 0, 0, 0, 0, 0, 2] + Array("de".utf8)  // standard error
        + [1, 0, 0, 0, 0, 0, 0, 0]  // empty

    @Test(arguments: 1...13)
    func anyCutGivesTheSameStreams(size: Int) throws {
        var splitter = StdcopySplitter()
        var out = ""
        var errors = ""
        for start in stride(from: 0, to: Self.frames.count, by: size) {
            for piece in try splitter.split(Self.frames[start..<min(start + size, Self.frames.count)]) {
                if piece.stream == .error { errors += text(piece.bytes) } else { out += text(piece.bytes) }
            }
        }
        #expect(out == "abc")
        #expect(errors == "de")
        #expect(splitter.isAtBoundary)
    }

    @Test func unknownStreamIsAnError() {
        var splitter = StdcopySplitter()
        #expect(throws: ClientError.self) { try splitter.split([9, 0, 0, 0, 0, 0, 0, 1, 1]) }
    }

    private func text(_ bytes: ArraySlice<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }
}

@Suite struct TemplateTests {
    private static let document = Result {
        try JSONValue(
            parsing: Array(
                #"{"Name":"/a","State":{"Pid":7,"Up":true},"Args":["x","y"],"Labels":{"k":"v"},"No":null}"#.utf8
            )
        )
    }

    @Test(arguments: [
        ("{{.Name}}", "/a"), ("{{.State.Pid}} {{ .State.Up }}", "7 true"), ("{{json .Args}}", #"["x","y"]"#),
        ("{{index .Args 1}}", "y"), ("{{index .Labels \"k\"}}", "v"), ("{{len .Args}}", "2"), ("{{upper .Name}}", "/A"),
        ("a\\tb {not} {{.Args}}", "a\tb {not} [x y]"), ("{{.Labels}}", "map[k:v]"), ("{{.No}}", "<nil>"), ("", ""),
    ])
    func understood(template: String, text: String) throws {
        #expect(try Template(template).render(Self.document.get()) == text)
    }

    @Test(arguments: [
        "{{range .Args}}x{{end}}", "{{if .Name}}", "{{.Name", "{{}}", "{{printf \"%s\" .Name}}", "{{json}}",
    ])
    func notUnderstoodIsSaid(template: String) {
        #expect(throws: Template.Failure.self) { try Template(template) }
    }

    @Test func missingFieldIsSaid() throws {
        let template = try Template("{{.Nmae}}")
        #expect(throws: Template.Failure.self) { try template.render(Self.document.get()) }
    }
}

@Suite struct JSONLayoutTests {
    @Test func orderAndSpellingStay() {
        let laidOut = JSONLayout.indented(Array(#"{"b":1.50,"a":[],"c":{"d":"x:{,\"}"}, "e":[1,2]}"#.utf8))
        let expected = """
            {
                "b": 1.50,
                "a": [],
                "c": {
                    "d": "x:{,\\"}"
                },
                "e": [
                    1,
                    2
                ]
            }
            """
        #expect(laidOut == expected)
    }
}

@Suite struct HostTests {
    @Test func spellings() throws {
        #expect(try Host(parsing: "unix:///run/x.sock") == Host(path: "/run/x.sock"))
        #expect(try Host(parsing: "/run/x.sock") == Host(path: "/run/x.sock"))
        for wrong in ["tcp://h:1", "unix://", "x.sock", ""] {
            #expect(throws: ClientError.self) { try Host(parsing: wrong) }
        }
    }

    @Test func escaping() {
        #expect(APIClient.escape("a b/c?d=é~") == "a%20b%2Fc%3Fd%3D%C3%A9~")
    }
}
