internal import Kernel

extension Conformance {
    /// Members of the document that all platforms share (runtime-spec "config").
    static let documents: [Check] = [
        refused("versionIsOfTheGrammar", "2.1 ociVersion") { $0.config["ociVersion"] = "one" },
        refused("versionIsThere", "2.1 ociVersion") { $0.config["ociVersion"] = .null },
        refused("versionFromTheFutureIsRefused", "2.1 ociVersion") { $0.config["ociVersion"] = "2.0.0" },
        isolated("laterMinorVersionIsAccepted", "2.1 ociVersion") { box in
            box.config["ociVersion"] = "1.3.0"
            try box.run().expect("pid", "1")
        },
        isolated("rootIsAbsoluteOrRelative", "2.1 root.path") { box in
            try box.write("/here", "")
            box.config["root"]["path"] = .text(box.host(""))
            try box.run("stat=/here").expectSuccess("stat=/here")
        },
        refused("rootExists", "2.1 root.path") { $0.config["root"]["path"] = "nowhere" },
        refused("rootIsADirectory", "2.1 root.path") { $0.config["root"]["path"] = "config.json" },
        isolated("rootIsReadOnly", "2.1 root.readonly") { box in
            box.config["root"]["readonly"] = true
            let report = try box.run("mkdir=/new", "open=wc:/dev/shm/new", "report")
            try report.expectError("mkdir=/new", "EROFS")
            try report.expectSuccess("open=wc:/dev/shm/new")
            try require(report.mount("/").options.contains("ro"), "the root is not read-only")
        },
        isolated("rootIsWritable", "2.1 root.readonly") { box in
            try box.run("mkdir=/new").expectSuccess("mkdir=/new")
        },
        isolated("hostnameIsSet", "2.1 hostname") { box in
            box.config["hostname"] = "some-name"
            try box.run().expect("hostname", "some-name")
        },
        isolated("domainnameIsSet", "2.1 domainname") { box in
            box.config["domainname"] = "some.domain"
            try box.run().expect("domainname", "some.domain")
        },
        refused("hostnameNeedsAnOwnNamespace", "2.1 hostname") { box in
            box.namespace("uts", nil)
            box.config["hostname"] = "not-for-the-host"
        },
        isolated("unknownPropertiesAreIgnored", "2.1 extensibility") { box in
            box.config["orgExampleUnknown"] = ["a": [1, "two", .null]]
            box.process["orgExampleUnknown"] = 3
            box.linux["orgExampleUnknown"] = true
            try box.run().expect("pid", "1")
        },
        refused("annotationsHaveKeys", "2.1 annotations") { $0.config["annotations"] = ["": "value"] },
        refused("wrongTypeIsRefused", "2.1 valid values") { $0.config["root"] = ["path": 7] },
        refused("wrongDocumentIsRefused", "2.1 valid values") { $0.config["mounts"] = "none" },
        isolated("mountsAreMadeInOrder", "2.1 mounts") { box in
            for path in ["/m", "/first", "/second"] { try box.makeDirectory(path) }
            let (one, two) = (try box.outside("one"), try box.outside("two"))
            try File.makeDirectories(one + "/below", mode: 0o755)
            box.bind(one, "/m")
            box.bind(two, "/m/below")
            try File.writeAtomically(one + "/a", [], mode: 0o644, durable: false)
            try File.writeAtomically(two + "/b", [], mode: 0o644, durable: false)
            let report = try box.run("stat=/m/a", "stat=/m/below/b")
            try report.expectSuccess("stat=/m/a")
            try report.expectSuccess("stat=/m/below/b")
        },
        isolated("laterMountCoversEarlier", "2.1 mounts") { box in
            box.mount("/m", "tmpfs", "tmpfs")
            box.bind(try box.outside("covers"), "/m")
            try File.writeAtomically(box.bundle.directory + "/covers/a", [], mode: 0o644, durable: false)
            try box.run("stat=/m/a").expectSuccess("stat=/m/a")
        },
        isolated("relativeDestinationStartsAtTheRoot", "2.1 mounts") { box in
            box.mount("m/below", "tmpfs", "tmpfs")
            try requireEqual(box.run().mount("/m/below").type, "tmpfs", "type of the mount")
        },
        isolated("relativeSourceStartsAtTheBundle", "2.1 mounts") { box in
            try File.makeDirectories(box.bundle.path + "/beside", mode: 0o755)
            try File.writeAtomically(box.bundle.path + "/beside/a", [], mode: 0o644, durable: false)
            box.bind("beside", "/m")
            try box.run("stat=/m/a").expectSuccess("stat=/m/a")
        },
        isolated("typeOfABindIsIgnored", "2.1 mounts") { box in
            let source = try box.outside("source")
            try File.writeAtomically(source + "/a", [], mode: 0o644, durable: false)
            box.mount("/m", "none", source, ["bind"])
            box.mount("/n", "ext4", source, ["rbind"])
            let report = try box.run("stat=/m/a", "stat=/n/a")
            try report.expectSuccess("stat=/m/a")
            try report.expectSuccess("stat=/n/a")
        },
        isolated("filesAreBoundToo", "2.1 mounts") { box in
            try File.writeAtomically(box.bundle.directory + "/file", Array("text".utf8), mode: 0o644, durable: false)
            box.bind(box.bundle.directory + "/file", "/etc/deep/file", ["bind", "ro"])
            let report = try box.run("read=/etc/deep/file", "open=w:/etc/deep/file")
            try report.expect("read=/etc/deep/file", "text")
            try report.expectError("open=w:/etc/deep/file", "EROFS")
        },
        refused("mountHasADestination", "2.1 mounts") { box in
            box.config["mounts"].elements.append(["type": "tmpfs", "source": "tmpfs"])
        },
        refused("unknownFileSystemIsRefused", "2.1 mounts") { $0.mount("/m", "nosuchfs", "none") },
        refused("mappingsOfAMountComeInPairs", "2.1 mounts[].uidMappings") { box in
            box.bind(try box.outside("source"), "/m", ["bind", "idmap"])
            let last = box.config["mounts"].elements.count - 1
            box.config["mounts"].elements[last]["uidMappings"] = [["containerID": 0, "hostID": 1000, "size": 10]]
        },
        isolated("mountIsMapped", "2.1 mounts[].uidMappings") { box in
            let source = try box.outside("source")
            try File.writeAtomically(source + "/a", [], mode: 0o644, durable: false)
            box.bind(source, "/m", ["bind", "idmap"])
            let last = box.config["mounts"].elements.count - 1
            let mapping: Document = [["containerID": 0, "hostID": 1000, "size": 10]]
            box.config["mounts"].elements[last]["uidMappings"] = mapping
            box.config["mounts"].elements[last]["gidMappings"] = mapping
            try box.run("stat=/m/a").expect("stat=/m/a", "- 0:0 644 1000 1000")
        },
    ]
}
