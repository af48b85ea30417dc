// ShimKitTesting: what tests of a shim share, and the conformance suite that every backend passes.
//
// `RunningShim` is a shim as berthd starts it, `ShimClient` a blocking client of its socket. The suite (`Conformance`)
// drives any shim v2 program from outside, as containerd does, and knows nothing of Berth: that Debian's
// containerd-shim-runc-v2 passes it proves the suite itself right.
