import Kernel
import ShimKit

// A fault that a test asks for: a program that does not say whether it reads a state.
if CommandLine.arguments.contains("-check-state"), CommandLine.arguments.first == "hangs" {
    Clock.sleep(.seconds(60))
}
Shim.main(PlainBackend.self)
