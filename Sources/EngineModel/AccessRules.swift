/// When a restricted container has rules for files (Landlock) beside its mounts.
public enum AccessRules: String, Sendable, Codable, CaseIterable {
    /// Where the kernel has them.
    case available
    /// Always: on a kernel without them it is not created.
    case required
    /// Never.
    case off

    /// The security option.
    static let option = "berth.landlock"
    /// Annotation by which the backend is told.
    package static let annotation = "dev.berth.landlock"

    /// Reads the option's value.
    ///
    /// - Throws: ``EngineError`` `.invalidArgument` that lists the choices.
    init(option text: String) throws {
        guard let rules = AccessRules(rawValue: text) else {
            let choices = Self.allCases.map(\.rawValue).joined(separator: ", ")
            throw EngineError.invalid("security option '\(Self.option)': '\(text)' is none of \(choices)")
        }
        self = rules
    }
}
