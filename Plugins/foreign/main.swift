import ShimKit

// The shim is one program with two helpers, which it starts itself.
switch CommandLine.arguments.dropFirst().first {
case EventSink.command: EventSink.main()
case TerminalBridge.command: TerminalBridge.main()
default: Shim.main(ForeignBackend.self)
}
