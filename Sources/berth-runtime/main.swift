// The native backend as an OCI runtime: a command for each operation of the specification, for programs that start
// containers by such a command (podman, buildah, containerd).
//
// The model. Every command ends between two operations, so what must outlive it is in one directory per container: the
// document as it was at `create`, a record (`state.json`), the compiled filter, and the socket at which the created process
// waits for its start. Everything that happens to a container happens in `NativeContainer`, which the shim uses too; here are
// only the command line, the records and the order of operations.

import Kernel

StandardStreams.fill()
Umask.set(0o022)
Signals.ignore(.pipe)
Clone.exit(RuntimeCommand.run(CommandLine.arguments))
