internal import CKernel

/// Which version a program of this build calls itself.
public enum BuildVersion {
    /// The version: what this source says, or what `tools/stamp` has written into the executable since.
    public static var text: String {
        // Sound: a text with an end that lives as long as the process.
        unsafe String(cString: ck_version())
    }
}
