// NativeShim: the backend over NativeContainer, for the shims that isolate by namespaces and a cgroup.
//
// The model. `NativeBackend` is what ShimKit asks of a backend, in terms of NativeContainer. The native shim is that and nothing more;
// the restricted one inherits from it and adds a guard that answers for the filter of each process.
