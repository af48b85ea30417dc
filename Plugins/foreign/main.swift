import ShimKit

// The shim is one program with a helper, which it starts itself.
switch CommandLine.arguments.dropFirst().first {
case TerminalBridge.command: TerminalBridge.main()
default: Shim.main(ForeignBackend.self)
}
