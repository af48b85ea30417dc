// A backend that does wrong what its name says, and for the rest is a shim without isolation: its container is a `sleep`.
//
//   hostile.crash.METHOD     is gone when METHOD is called
//   hostile.hang.METHOD      stands still for ever when METHOD is called; `-info` is a METHOD, too
//   hostile.garbage.METHOD   answers METHOD with bytes that are no message
//   hostile.noise.METHOD     answers METHOD with bytes that are no frames
//   hostile.oversize.METHOD  answers METHOD with a frame of 4 GiB that never ends
//   hostile.claim.METHOD     answers METHOD with the beginning of a frame of 4 GiB for a call that nobody has made
//   hostile.slow.METHOD      answers METHOD with a frame of 3 MiB, a byte at a time
//   hostile.endless.METHOD   answers METHOD with frames for calls that nobody has made, for ever
//   hostile.flood.TOPIC      has always more events to tell, all of this topic (a dot for its slashes)
//   hostile.spill.METHOD     has a child fill its standard error, 50 MB/s at most, from METHOD on
//   hostile.pid.Create       says that the process whose number is in the file `victim` beside it is its container's
//   hostile.pid.Start        says so in the answer to Start and in the event of it
//   hostile.pid.Exec         says so of an exec session
//   hostile.pid.Pids         says so, and of other numbers, where it is asked for the processes of its container
//   hostile.exit.NUMBER      says that every process ended with this status
//   hostile.state.Resume     does not resume, and says that there is nothing to resume
//   hostile.address.start    says that it listens where the file `victim` says
//   hostile.protocol.NAME    says that it speaks the version of the protocol whose number is in the file `protocol` beside it, and that it has
//                            another program run in its place when it is asked to
//
// It is started as berthd starts a backend, or by `start` as containerd does, under a link with such a name.

import FoundationEssentials
import Kernel
import ShimProtocol
import SwiftProtobuf

let words = (CommandLine.arguments.first ?? "").split(separator: "/").last?.split(separator: ".").map(String.init) ?? []
let (fault, object) = (words.count > 1 ? words[1] : "", words.dropFirst(2).joined(separator: "."))
let place = (CommandLine.arguments.first ?? "").split(separator: "/").dropLast().map { "/" + $0 }.joined()
Signals.ignore(.pipe)

switch CommandLine.arguments.last {
case "-info":
    if fault == "hang", object == "-info" { Misbehaviour.hang() }
    try BorrowedDescriptor.standardOutput.writeAll(ContainerdRuntimeInfo.with { $0.version.version = "666" }.bytes)
case "start": try HostileShim.start(Misbehaviour(fault, object), place)
case "serve": try HostileShim(Misbehaviour(fault, object), place).serve()
case "flood": HostileShim.flood("/" + object.replacing(".", with: "/"))
default: break
}
