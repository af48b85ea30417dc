internal import Kernel
internal import ShimProtocol
internal import SwiftProtobuf

extension Conformance {
    /// Processes and shims that are killed from outside.
    static let faults: [Check] = [
        Check(name: "initKilledFromOutsideIsSeen") { program in
            let container = try ConformanceContainer(program, "sleep 1000")
            let pid = try container.run()
            let wait = try container.beginWait()
            _ = try Pidfd(pid: Int32(pid)).send(.kill)
            try requireEqual(container.finish(wait, TaskWaitResponse.self).exitStatus, 137, "status")
            try container.delete()
        },
        Check(name: "orphansEndWithTheContainer") { program in
            let container = try ConformanceContainer(program, "sleep 1000 & sleep 1000 & echo started; exit 0")
            try container.run()
            try requireEqual(container.waitForExit(), 0, "status")
            try container.delete()
            try requireNoCgroup(container)
        },
        Check(name: "deleteCleansUpAfterAKilledShim", body: killedShim),
        Check(name: "deleteOfNothingSucceeds") { program in
            let container = try ConformanceContainer(program, "true")
            try container.shutdown()
            try container.waitForShimToEnd()
            _ = try container.runDelete()
            _ = try container.runDelete()
        },
        Check(name: "garbageOnTheSocketHarmsNobody") { program in
            let container = try ConformanceContainer(program, "sleep 1000")
            try container.run()
            for _ in 0..<5 {
                let socket = try UnixSocket.connect(toFirstOf: container.address.places)
                try socket.writeAll(Random.bytes(200))
            }
            try requireEqual(container.state().status, .running, "state")
        },
        Check(name: "clientsThatComeAndGoHarmNobody") { program in
            let container = try ConformanceContainer(program, "exit 3")
            try container.create()
            for _ in 0..<20 { try container.beginWaitOnAnotherConnection() }
            try container.start()
            try requireEqual(container.waitForExit(), 3, "status")
        },
    ]

    private static func killedShim(_ program: ShimProgram) throws {
        let container = try ConformanceContainer(program, "sleep 1000")
        let pid = try container.run()
        let process = try Pidfd(pid: Int32(pid))
        try container.killShim()
        let answer = try container.runDelete()
        try requireEqual(answer.exitStatus, 137, "status from delete")
        let ended = try process.poll(for: .readable, timeout: .seconds(5))
        try require(!ended.isEmpty, "the container's process is still there")
        try requireNoCgroup(container)
        _ = try container.runDelete()
    }
}
