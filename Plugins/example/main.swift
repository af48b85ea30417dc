import ShimKit

Shim.main(ExampleBackend.self)
