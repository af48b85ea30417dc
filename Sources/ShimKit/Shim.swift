/// The program that a shim is.
public enum Shim {
    /// Runs a shim with this backend; the whole of an author's `main.swift`.
    ///
    /// - Parameter backend: How the container is isolated.
    public static func main<B: Backend>(_ backend: B.Type) {
    }
}
