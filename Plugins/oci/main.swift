import ShimKit

// The shim is one program with a helper, which it starts itself.
switch CommandLine.arguments.dropFirst().first {
case HiddenHierarchy.command: HiddenHierarchy.main()
default: Shim.main(OCIBackend.self)
}
