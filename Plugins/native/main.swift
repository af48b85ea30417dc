import ShimKit

Shim.main(NativeBackend.self)
