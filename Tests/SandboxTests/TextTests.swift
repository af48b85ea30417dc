import DocumentTexts
import Kernel
import MountTrees
import Sandbox
import Testing

/// Parsers of texts that come from images and clients.
@Suite struct UserDatabaseTests {
    let database = UserDatabase(
        passwd: Array(
            """
            # comment
            root:x:0:0:root:/root:/bin/sh
            web:x:33:44:w:/srv/web:/bin/sh
            0001:x:0:0::/:/bin/sh
            4294967296:x:0:0::/:
            -1:x:0:0::/:
            0x0:x:0:0::/:
            broken:x:abc:0::/:
            short:x:5
            huge:x:4294967295:0::/:
            """.utf8
        ),
        group: Array("root:x:0:\nweb:x:44:\ntape:x:26:a,web\nlots:x:27:webx,xweb\nfour:x:44:web\n".utf8)
    )

    @Test(
        arguments: [
            ("", 0, 0), ("root", 0, 0), ("web", 33, 44), ("33", 33, 44), ("1000", 1000, 0), ("0", 0, 0), ("1:1", 1, 1),
            ("0001", 1, 0), ("web:tape", 33, 26), ("web:7", 33, 7), ("1000:web", 1000, 44),
            ("4294967294", 4_294_967_294, 0),
            ("2147483648", 2_147_483_648, 0), ("root:root", 0, 0),
        ] as [(String, UInt32, UInt32)]
    )
    func validFormsGiveExactIDs(_ text: String, _ uid: UInt32, _ gid: UInt32) throws {
        let user = try database.resolve(text)
        #expect(user.uid == uid)
        #expect(user.gid == gid)
    }

    @Test(arguments: [
        ":", ":1", "1:", "web:", "nobody", "web:nobody", "4294967295", "4294967296", "99999999999", "-1", "+1", "0x0",
        "1000 ", " 1000", "1:4294967296", "huge", "broken", "short", "we b", "web\n", "\0",
    ])
    func everythingElseIsAnError(_ text: String) {
        #expect(throws: TextError.self) { try database.resolve(text) }
    }

    @Test func supplementaryGroupsAreThoseThatListTheName() throws {
        #expect(try database.resolve("web").groups == [26])
        #expect(try database.resolve("33").groups == [26])
        #expect(try database.resolve("web:web").groups == [])
        #expect(try database.resolve("1000").groups == [])
        #expect(try database.resolve("web").home == "/srv/web")
    }
}

@Suite struct MountOptionsTests {
    @Test func newFilesystemsAreLabelled() throws {
        let label = "system_u:object_r:container_file_t:s0:c1,c2"
        for (type, words, isLabelled) in [
            ("tmpfs", [], true), ("devpts", ["newinstance"], true), ("proc", [], false), ("cgroup2", [], false),
            ("none", ["bind"], false), ("bind", [], false), ("tmpfs", ["remount"], false),
        ] {
            var options = try MountOptions(words, field: "x")
            options.label(label, type: type)
            let values = options.parameters.filter { $0.key == "context" }.map(\.value)
            #expect(values == (isLabelled ? [label] : []), "\(type) \(words)")
        }
        var own = try MountOptions(["context=a_u:b_r:c_t:s0"], field: "x")
        own.label(label, type: "tmpfs")
        #expect(own.parameters.count == 1)
    }

    @Test func laterWordsWin() throws {
        let options = try MountOptions(["ro", "nosuid", "rw", "suid", "noatime", "strictatime"], field: "x")
        #expect(options.attributes.set == [.strictAccessTime])
        #expect(options.attributes.clear == [.readOnly, .noSetID, .accessTimeMask])
    }

    @Test func recursiveWordsAreTheirOwn() throws {
        let options = try MountOptions(["rbind", "rro", "rnosuid", "relatime", "rslave", "rprivate"], field: "x")
        #expect(options.bind == .recursive)
        #expect(options.recursiveAttributes.set == [.readOnly, .noSetID])
        #expect(options.attributes.clear == [.accessTimeMask])
        #expect(options.propagation.map(\.type) == [.slave, .private])
        #expect(options.propagation.map(\.recursive) == [true, true])
    }

    @Test func whatIsNoWordOfMountGoesToTheFilesystem() throws {
        let options = try MountOptions(
            ["mode=755", "sync", "size=64k", "dirsync", "async", "defaults", "", "a=b=c"],
            field: "x"
        )
        #expect(options.parameters.map(\.key) == ["mode", "size", "dirsync", "a"])
        #expect(options.parameters.map(\.value) == ["755", "64k", nil, "b=c"])
    }

    @Test func aByteThatEndsTextIsAnError() {
        #expect(throws: SandboxError.self) { try MountOptions(["x\0y"], field: "x") }
    }

    @Test func mappingsAreNoParameters() throws {
        #expect(try MountOptions(["idmap"], field: "x").idMap == .single)
        #expect(try MountOptions(["ridmap", "idmap"], field: "x").idMap == .recursive)
        #expect(try MountOptions(["idmap", "ridmap"], field: "x").parameters.isEmpty)
    }
}
