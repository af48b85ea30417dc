internal import Kernel

extension ProcessPlan {
    /// Looks whether there is a program at all, for a creation whose start will be somebody else's.
    ///
    /// Who creates and who starts expect to hear of a program that is missing at the creation. What only the process's own
    /// user may or may not reach shows when it is executed.
    func checkProgram(_ root: borrowing RootedDir) throws(SandboxError) {
        var refusal: Errno?
        for candidate in candidates {
            do throws(KernelError) {
                let status = try root.openPath(Paths.absolute(candidate, in: workingDirectory), follow: true).status()
                if status.isRegular, status.permissions & 0o111 != 0 { return }
                refusal = .accessDenied
            } catch {
                guard error.errno == .noEntry || error.errno == .notDirectory else { return }
            }
        }
        throw noProgram(refusal)
    }

    /// The error of a program that none of the candidates is.
    ///
    /// - Parameter refusal: Why one that is there cannot be executed.
    /// - Returns: What to throw.
    func noProgram(_ refusal: Errno?) -> SandboxError {
        if let refusal { return .failed(.exec, "execute", program, refusal) }
        return SandboxError(
            stage: .exec,
            operation: "execute",
            object: program,
            errno: .noEntry,
            detail: program.contains("/") ? "" : "executable file not found in $PATH",
            code: .notFound
        )
    }
}
