internal import Kernel
internal import ShimProtocol
internal import SwiftProtobuf

extension Conformance {
    /// Wrong states, unknown names, double calls.
    static let failures: [Check] = [
        Check(name: "unknownContainerIsNotFound") { program in
            let container = try ConformanceContainer(program, "true")
            try expect(.notFound, "State") { _ = try container.state(id: "nobody") }
            try expect(.notFound, "Kill") { try container.kill(.kill, id: "nobody") }
            try expect(.notFound, "Start") { try container.start(id: "nobody") }
            try requireEqual(container.connect("nobody").taskPid, 0, "pid that Connect knows of nobody")
        },
        Check(name: "unknownExecIsNotFound") { program in
            let container = try ConformanceContainer(program, "sleep 1000")
            try container.run()
            try expect(.notFound, "State") { _ = try container.state("nobody") }
            try expect(.notFound, "Start") { try container.start("nobody") }
            try expect(.notFound, "Delete") { try container.delete("nobody") }
        },
        Check(name: "unknownMethodIsUnimplemented") { program in
            let container = try ConformanceContainer(program, "true")
            try expect(.unimplemented, "a method that does not exist") {
                let stream = try container.client.begin(
                    container.client.taskService,
                    "Nothing",
                    Google_Protobuf_Empty()
                )
                _ = try container.finish(stream, Google_Protobuf_Empty.self)
            }
            try expect(.unimplemented, "a service that does not exist") {
                let stream = try container.client.begin("no.such.Service", "State", Google_Protobuf_Empty())
                _ = try container.finish(stream, Google_Protobuf_Empty.self)
            }
        },
        Check(name: "secondCreateIsRefused") { program in
            let container = try ConformanceContainer(program, "sleep 1000")
            try container.run()
            try expectRefusal("a second Create") { try container.create() }
            try requireEqual(container.state().status, .running, "state")
        },
        Check(name: "secondStartOfARunningContainerIsRefused") { program in
            let container = try ConformanceContainer(program, "sleep 1000")
            try container.run()
            try expectRefusal("a second Start") { try container.start() }
            try requireEqual(container.state().status, .running, "state")
        },
        Check(name: "runningContainerIsNotDeleted") { program in
            let container = try ConformanceContainer(program, "sleep 1000")
            try container.run()
            try expectRefusal("Delete") { try container.delete() }
            try requireEqual(container.state().status, .running, "state")
        },
        Check(name: "createdContainerIsNotPaused") { program in
            let container = try ConformanceContainer(program, "sleep 1000")
            try container.create()
            try expectRefusal("Pause") { try container.pause() }
            try expectRefusal("Resume") { try container.resume() }
        },
        Check(name: "endedContainerTakesNoSignalAndNoExec") { program in
            let container = try ConformanceContainer(program, "true")
            try container.run()
            _ = try container.waitForExit()
            try expect(.notFound, "Kill") { try container.kill(.terminate) }
            try expectRefusal("Exec") {
                try container.addExec("late", .init("true"))
                try container.start("late")
            }
            try expectRefusal("Start") { try container.start() }
        },
        Check(name: "programThatDoesNotExistIsReported") { program in
            let container = try ConformanceContainer(program, .init(arguments: ["/no/such/program"]))
            try expectRefusal("a program that does not exist") { try container.run() }
            try requireUsable(container)
        },
        Check(name: "programThatIsNoneIsReported") { program in
            let container = try ConformanceContainer(program, .init(arguments: ["/etc"]))
            try expectRefusal("a directory as program") { try container.run() }
            try requireUsable(container)
        },
        Check(name: "bundleWithoutConfigurationIsReported") { program in
            let container = try ConformanceContainer(program, "true")
            try File.remove(container.bundle.path + "/config.json")
            try expectRefusal("Create") { try container.create() }
            try requireUsable(container)
        },
    ]

    /// After a refusal: the shim answers, and goes when asked.
    private static func requireUsable(_ container: ConformanceContainer) throws {
        _ = try container.connect()
        // Whether there is something to delete depends on the step that failed.
        do { try container.delete() } catch is RPCError {}
        try container.shutdown()
        try container.waitForShimToEnd()
        _ = try container.runDelete()
        try requireNoCgroup(container)
    }
}
