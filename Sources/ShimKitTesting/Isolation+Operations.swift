internal import Kernel
internal import ShimProtocol

extension Conformance {
    /// Operations and states (runtime-spec "runtime").
    static let operations: [Check] = [
        isolated("createAppliesTheDocumentAsItWas", "1 create") { box in
            box.config["hostname"] = "before"
            let container = try box.open()
            try container.create()
            try box.bundle.write(
                #"{"ociVersion":"1.0.2","hostname":"after","process":{"args":["/none"],"cwd":"/none"}}"#
            )
            try container.start()
            try box.finish(container).expect("hostname", "before")
        },
        isolated("createRunsNoProgram", "1 create") { box in
            box.bind(try box.outside("mark"), "/mark")
            let container = try box.open(["mkdir=/mark/ran"])
            try container.create()
            try requireEqual(container.state().status, .created, "state")
            try require(!File.exists(box.bundle.directory + "/mark/ran"), "the program ran at create")
            try container.start()
            try box.finish(container).expectSuccess("mkdir=/mark/ran")
        },
        isolated("createOfATakenIdIsRefused", "1 create") { box in
            let (container, _) = try box.hold()
            let pid = try container.state().pid
            try expectRefusal("a second create") { try container.create() }
            try requireEqual(container.state().pid, pid, "pid of the container that has the id")
            try container.kill(.terminate)
            try requireEqual(container.waitForExit(), 0, "status")
        },
        isolated("failedCreateLeavesNothing", "1 errors") { box in
            box.bind("/nowhere/at/all", "/mnt")
            try box.expectRefusal("a bind of nothing")
            try requireNoMounts(box.bundle)
        },
        isolated("startIsOnlyForTheCreated", "1 start") { box in
            let (container, _) = try box.hold()
            try expectRefusal("start of a running container") { try container.start() }
            try requireEqual(container.state().status, .running, "state")
            try container.kill(.kill)
            _ = try container.waitForExit()
            try expectRefusal("start of a stopped container") { try container.start() }
            try requireEqual(container.state().status, .stopped, "state")
        },
        refused("startNeedsAProcess", "1 start") { $0.process = .null },
        isolated("killIsForTheCreatedAndRunning", "1 kill") { box in
            let container = try box.open()
            try container.create()
            try container.kill(.kill)
            try requireEqual(container.waitForExit(), 137, "status")
            try expectRefusal("kill of a stopped container") { try container.kill(.kill) }
            try requireEqual(container.state().status, .stopped, "state")
        },
        isolated("killSendsThatSignal", "1 kill") { box in
            let (container, _) = try box.hold()
            try container.kill(.user1)
            let report = try box.finish(container)
            try report.expect("hold=", "10")
        },
        isolated("deleteIsOnlyForTheStopped", "1 delete") { box in
            let (container, _) = try box.hold()
            try expectRefusal("delete of a running container") { try container.delete() }
            try requireEqual(container.state().status, .running, "state")
            try container.kill(.terminate)
            _ = try container.waitForExit()
            try container.delete()
            try expect(.notFound, "state after delete") { _ = try container.state() }
        },
        isolated("deleteUndoesCreateAndNothingElse", "1 delete") { box in
            box.userFile()
            let container = try box.open()
            try container.run()
            try box.finish(container).expectSuccess("ns.mnt")
            try container.shutdown()
            try container.waitForShimToEnd()
            _ = try container.runDelete()
            try requireNoCgroup(container)
            try requireNoMounts(box.bundle)
            try requireEqual(File.readText(box.bundle.path + "/rootfs/tmp/own"), "own", "a file of the root's")
            try require(File.exists(box.bundle.path + "/config.json"), "the bundle is gone")
        },
        isolated("stateTellsIdPidAndBundle", "1 state") { box in
            let (container, _) = try box.hold()
            let state = try container.state()
            try requireEqual(state.id, container.id, "id")
            try requireEqual(state.bundle, box.bundle.path, "bundle")
            let own = try File.readText("/proc/\(state.pid)/status").split(separator: "\n")
                .first { $0.hasPrefix("NSpid:") }
            try requireEqual(own?.split(separator: "\t").last, "1", "the process's own number of \(state.pid)")
            try container.kill(.terminate)
            _ = try container.waitForExit()
        },
        isolated("exitCodeIsTheProgramsOwn", "1 state") { box in
            for code in [0, 1, 77, 255] as [UInt32] {
                try requireEqual(IsolationBox(box.program).run("exit=\(code)").status, code, "status")
            }
        },
        isolated("programThatIsNoneIsRefused", "1 start") { box in
            box.process["args"] = ["/no/such/program"]
            try box.expectRefusal("a program that does not exist")
        },
    ]
}

extension IsolationBox {
    /// A file that was in the root before.
    fileprivate func userFile() {
        // That it is there is looked at later.
        try? write("/tmp/own", "own")
    }
}
