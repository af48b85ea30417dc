// Kernel: the one door to Linux. Everything Berth asks of the operating system goes through this target.
//
// The model: a descriptor is owned by a value that closes it (`Descriptor`), a failed call is a `KernelError` that names
// the operation, the object and errno, and a path that anybody else can influence is resolved by `RootedDir` alone.
// Calls are thin: no policy, no caching, no logging, and EINTR is the only errno that is handled here.
//
// Nothing here imports Foundation, so that a shim pays for nothing it does not use.
//
// House rule for `unsafe`: a String or Array passed to a C call is bridged to memory that lives for that call and is
// NUL-terminated where it is text; texts that others can influence are refused when they hold a NUL. Where a call relies
// on more than that, a comment beside it says why it is sound.
