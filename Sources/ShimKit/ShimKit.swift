// ShimKit: everything of a shim but the isolation of its container.
//
// The model: a shim is one process with one thread. `Shim.main` parses the command line, becomes a daemon and runs an epoll
// loop. Requests, exits, output and timers come in as events; `TaskTable`, a value without I/O, decides what each means; the
// loop carries out what it decided. How a container is isolated is asked of a `Backend`, in bounded blocking calls.
// docs/shim-protocol.md is the contract with those who write a backend and those who write a manager.
