import ShimKit

Shim.main(OCIBackend.self)
