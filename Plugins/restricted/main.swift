import ShimKit

Shim.main(RestrictedBackend.self)
