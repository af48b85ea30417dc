extension RuntimeSpec {
    /// Reads a `config.json`, and takes out what of it matters as long as its container exists.
    ///
    /// That are the hooks, what later processes share with the first, and what was made outside of the container. A document of these parts
    /// stands for the whole one then, whatever becomes of the file.
    ///
    /// - Parameter json: The document.
    /// - Returns: The document, and the bytes of a smaller one.
    /// - Throws: The place and the reason.
    package static func parsing(_ json: [UInt8]) throws(DocumentError) -> (specification: RuntimeSpec, kept: [UInt8]) {
        let value = try JSONParser.parse(json)
        let specification = try RuntimeSpec(json: value)
        let linux = (value["linux"] ?? .object([])).only([
            "namespaces", "personality", "memoryPolicy", "intelRdt", "seccomp",
        ]) { name, section in
            name == "seccomp" ? section.only(["defaultAction", "listenerPath", "listenerMetadata"]) : section
        }
        var names: Set = ["ociVersion", "hooks"]
        // They are told to hooks and listeners, and to nobody else.
        if specification.hooks != nil || specification.linux?.seccomp?.listenerPath?.isEmpty == false {
            names.insert("annotations")
        }
        guard case .object(let members) = value.only(names) else { return (specification, json) }
        return (specification, Array(JSONValue.object(members + [("linux", linux)]).text().utf8))
    }
}

extension JSONValue {
    /// An object of some of its members; anything else as it is.
    fileprivate func only(
        _ names: Set<String>,
        _ change: (String, JSONValue) -> JSONValue = { $1 }
    ) -> JSONValue {
        guard case .object(let members) = self else { return self }
        return .object(members.filter { names.contains($0.key) }.map { ($0.key, change($0.key, $0.value)) })
    }
}
