// Feeds damaged documents and frames to the readers of what others write, for a time, from a seed.
//
//   fuzz [--seconds N] [--seed S] [--target NAME] [--from I --count N]
//
// The work is done in a child, because the only failure is its death: a trap, an exhausted stack, endless memory or time. The
// child stores the number of each input before it reads it; the parent reports seed, target and number of the one that
// killed it, with the command that repeats it, and exits with 1. Inputs depend on seed and number alone.

import Kernel

let options = FuzzOptions(CommandLine.arguments.dropFirst())
if options.isWorker {
    try work(options)
    Clone.exit(0)
}
Clone.exit(try supervise(options))

/// The child: inputs one after the other, until the time is over or the count is reached.
func work(_ options: FuzzOptions) throws {
    let targets =
        options.target.map { name in (Target.all + [Target.selfTest]).filter { $0.name == name } } ?? Target.all
    guard !targets.isEmpty else {
        try BorrowedDescriptor.standardError.writeAll("fuzz: no such target\n")
        Clone.exit(2)
    }
    let begin = Clock.monotonic.now
    var number = options.from
    while options.count.map({ number < options.from + $0 }) ?? (Clock.monotonic.now - begin < .seconds(options.seconds))
    {
        // Descriptor 3 is the parent's note of where this one is.
        let bytes = (0..<8).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
        try BorrowedDescriptor(3).writeAll(bytes, at: 0)
        let target = targets[Int(number % UInt64(targets.count))]
        var random = Generator(seed: options.seed, number: number)
        target.run(&random)
        if target.name == Target.selfTest.name, number == 123 { Clone.exit(3) }
        number += 1
    }
}

func supervise(_ options: FuzzOptions) throws -> Int32 {
    let note = try File.open("/tmp", [.temporary, .readWrite], mode: 0o600)
    try note.writeAll([UInt8](repeating: 0, count: 8), at: 0)
    var spawn = Spawn(arguments: CommandLine.arguments + ["--worker"], environment: [])
    spawn.descriptors = [1: 1, 2: 2, 3: note.raw]
    let child = try spawn.start("/proc/self/exe")
    // An input that takes longer than half a minute is a failure like a crash.
    var last: UInt64 = .max
    while try child.pidfd.poll(for: .readable, timeout: .seconds(30)).isEmpty {
        let now = try number(note.raw)
        if now == last { _ = try child.pidfd.send(.kill) }
        last = now
    }
    let status = try child.pidfd.wait()
    let reached = try number(note.raw)
    guard status == .exited(0) else {
        say("fuzz: input \(reached) of seed \(options.seed) ended the process: \(status)")
        let target = options.target.map { " --target \($0)" } ?? ""
        say("repeat with: fuzz --seed \(options.seed)\(target) --from \(reached) --count 1")
        return 1
    }
    say("fuzz: seed \(options.seed), \(reached + 1 - options.from) inputs")
    return 0
}

func number(_ note: RawDescriptor) throws -> UInt64 {
    try BorrowedDescriptor(note).read(upTo: 8, at: 0).reversed().reduce(0) { $0 << 8 | UInt64($1) }
}

func say(_ text: String) {
    // Nobody is left to be told when standard output is closed.
    try? BorrowedDescriptor.standardOutput.writeAll(text + "\n")
}
