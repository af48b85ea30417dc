// One shim as the engine sees it: a process (`ShimProcess`), a ttrpc connection (`ShimConnection`), the calls over it (`ShimClient`), and
// the socket that takes a client's connection (`DescriptorPassing`).
//
// The model. A shim outlives the engine and may be stuck: every call has a deadline, and a failed one says nothing about the container. A
// shim is known by pid and start time, so that a reused pid is never taken for it.
