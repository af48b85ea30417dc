extension ContainerState {
    /// The document as JSON text, for the standard input of hooks.
    public var json: [UInt8] { Array(jsonValue.text().utf8) }

    /// The document as a value, for those that have more to say.
    package var jsonValue: JSONValue {
        var members: [(key: String, value: JSONValue)] = [
            ("ociVersion", .string(ociVersion)), ("id", .string(id)), ("status", .string(status.rawValue)),
        ]
        if let pid { members.append(("pid", .number(pid))) }
        members.append(("bundle", .string(bundle)))
        if let annotations { members.append(("annotations", .strings(annotations))) }
        return .object(members)
    }
}
