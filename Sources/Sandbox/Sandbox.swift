// From a runtime document to a process in its own namespaces.
//
// The model. The parent (a shim with one thread) reads the document into a plan and makes everything that it can make
// without being inside: the root and the bound trees as detached mounts, `/dev` as a tmpfs with its nodes, argument and
// environment arrays, the system call filter. Then it clones once, with all namespaces. The child is a copy of the shim; it
// attaches the prepared mounts inside its private mount namespace, where the host never sees them, changes its root, and
// does all that a container could influence after that, when no host path exists for it any more. It reports that the
// container is created, waits for the word to start, takes on the process's identity and executes the program. Until
// then it is not dumpable, and it reports a failure with step, call, object and errno over the socket pair; success is the
// close of that socket by exec.
//
//  parent                                   child
//  plan, detached mounts, socket pair
//  clone (mount uts ipc pid network)  ───▶  new session, only the descriptors that it needs
//                                           cgroups, cgroup namespace, joined namespaces
//                                           private mounts, root attached, pivot_root
//                                           mounts, devices, console, masks, parameters, loopback
//  created                            ◀───  ready (and the terminal)
//  start                              ───▶  limits, user, working directory, ids, capabilities, filter
//  end of file: running               ◀───  exec
