import NativeShim
import ShimKit

Shim.main(NativeBackend.self)
