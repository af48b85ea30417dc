import DockerAPI
import Kernel
import Testing

@Suite("Query")
struct QueryTests {
    @Test(arguments: [
        ("a=1", true), ("a=true", true), ("a=yes", true), ("a=", false), ("a", false), ("a=0", false), ("a=No", false),
        ("a=FALSE", false), ("a=none", false), ("b=1", false), ("a=%31", true),
    ])
    func booleansReadAsDockerReadsThem(text: String, expected: Bool) throws {
        #expect(try Query(text).flag("a") == expected)
    }

    @Test func valuesAreDecodedOnce() throws {
        let query = try Query("name=a%2Bb+c&name=d&x=%2525")
        #expect(query["name"] == "a+b c")
        #expect(query.all("name") == ["a+b c", "d"])
        #expect(query["x"] == "%25")
        #expect(query["y"] == nil)
    }

    @Test(arguments: [
        #"{"status":["running","paused"]}"#, #"{"status":{"running":true,"paused":true,"dead":false}}"#,
    ])
    func filtersReadBothForms(json: String) throws {
        let filters = try Query("filters=\(json)").filters(allowed: ["status"])
        #expect(filters["status"].map(Set.init) == ["running", "paused"])
    }

    @Test(arguments: [#"{"bad":["x"]}"#, #"{"status":"x"}"#, #"{"status":[1]}"#, "[]", "{", #"{"status":[["x"]]}"#])
    func wrongFiltersAreRefused(json: String) {
        #expect(throws: APIError.self) { try Query("filters=\(json)").filters(allowed: ["status"]) }
    }

    @Test func emptyFiltersAreNone() throws {
        #expect(try Query("filters=").filters(allowed: []).isEmpty)
        #expect(try Query("filters={}").filters(allowed: []).isEmpty)
        #expect(try Query(nil as String?).filters(allowed: []).isEmpty)
    }

    @Test(
        arguments: [
            ("1700000000", 1_700_000_000, 0), ("1700000000.5", 1_700_000_000, 500_000_000),
            ("1700000000.000000001", 1_700_000_000, 1), ("2023-11-14T22:13:20Z", 1_700_000_000, 0),
        ] as [(String, Int64, UInt32)]
    )
    func timesReadSecondsAndText(text: String, seconds: Int64, nanoseconds: UInt32) throws {
        let time = try #require(try Query("since=\(text)").time("since"))
        #expect(time == Timestamp(seconds: seconds, nanoseconds: nanoseconds))
    }

    @Test func zeroIsNoLimitOrTheBeginning() throws {
        #expect(try Query("since=0").time("since") == nil)
        #expect(try Query("since=0").time("since", countsFromZero: true) == Timestamp(seconds: 0, nanoseconds: 0))
    }

    @Test(arguments: ["x", "1.x", "1.", "99999999999999999999", "--1"])
    func wrongTimesAreRefused(text: String) {
        #expect(throws: APIError.self) { try Query("since=\(text)").time("since") }
    }

    @Test(arguments: ["x", "1.5", "99999999999999999999"])
    func wrongNumbersAreRefused(text: String) {
        #expect(throws: APIError.self) { try Query("n=\(text)").number("n") }
    }

    @Test func numbersOutOfRangeAreRefused() throws {
        #expect(try Query("n=0").number("n", in: 0 ... .max) == 0)
        #expect(try Query("n=65535").number("n", in: 0...65535) == 65535)
        #expect(try Query("n=-1").number("n") == -1)
        for text in ["-1", "-9223372036854775808"] {
            #expect(throws: APIError.self) { try Query("n=\(text)").number("n", in: 0 ... .max) }
        }
        #expect(throws: APIError.self) { try Query("n=65536").number("n", in: 0...65535) }
    }
}
