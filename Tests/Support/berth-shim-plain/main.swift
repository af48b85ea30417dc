import ShimKit

Shim.main(PlainBackend.self)
