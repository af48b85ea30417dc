extension RuntimeSpec {
    /// Reads a `config.json`, as its `Codable` form does but at a fraction of the cost.
    ///
    /// - Parameter json: The document.
    /// - Throws: The place and the reason.
    public init(parsing json: [UInt8]) throws(DocumentError) {
        try self.init(json: JSONParser.parse(json))
    }
}

extension RuntimeSpec.Process {
    /// Reads the document of an exec session.
    ///
    /// - Parameter json: The document.
    /// - Throws: The place and the reason.
    public init(parsing json: [UInt8]) throws(DocumentError) {
        try self.init(json: JSONParser.parse(json))
    }
}

extension RuntimeSpec.Resources {
    /// Reads the limits of an update.
    ///
    /// - Parameter json: The document.
    /// - Throws: The place and the reason.
    public init(parsing json: [UInt8]) throws(DocumentError) {
        try self.init(json: JSONParser.parse(json))
    }
}

extension RuntimeSpec: JSONReadable {
    init(json: JSONValue) throws(DocumentError) {
        let object = try JSONObject(json)
        self.init(
            ociVersion: try object.require("ociVersion"),
            process: try object.read("process"),
            root: try object.read("root"),
            hostname: try object.read("hostname"),
            domainname: try object.read("domainname"),
            mounts: try object.read("mounts"),
            hooks: try object.read("hooks"),
            annotations: try object.read("annotations"),
            linux: try object.read("linux")
        )
    }
}

extension RuntimeSpec.Root: JSONReadable {
    init(json: JSONValue) throws(DocumentError) {
        let object = try JSONObject(json)
        self.init(
            path: try object.require("path"),
            readonly: try object.read("readonly")
        )
    }
}

extension RuntimeSpec.Mount: JSONReadable {
    init(json: JSONValue) throws(DocumentError) {
        let object = try JSONObject(json)
        self.init(
            destination: try object.require("destination"),
            type: try object.read("type"),
            source: try object.read("source"),
            options: try object.read("options"),
            uidMappings: try object.read("uidMappings"),
            gidMappings: try object.read("gidMappings")
        )
    }
}

extension RuntimeSpec.IDMapping: JSONReadable {
    init(json: JSONValue) throws(DocumentError) {
        let object = try JSONObject(json)
        self.init(
            containerID: try object.require("containerID"),
            hostID: try object.require("hostID"),
            size: try object.require("size")
        )
    }
}

extension RuntimeSpec.Hooks: JSONReadable {
    init(json: JSONValue) throws(DocumentError) {
        let object = try JSONObject(json)
        self.init(
            prestart: try object.read("prestart"),
            createRuntime: try object.read("createRuntime"),
            createContainer: try object.read("createContainer"),
            startContainer: try object.read("startContainer"),
            poststart: try object.read("poststart"),
            poststop: try object.read("poststop")
        )
    }
}

extension RuntimeSpec.Hook: JSONReadable {
    init(json: JSONValue) throws(DocumentError) {
        let object = try JSONObject(json)
        self.init(
            path: try object.require("path"),
            args: try object.read("args"),
            env: try object.read("env"),
            timeout: try object.read("timeout")
        )
    }
}

extension RuntimeSpec.Process: JSONReadable {
    init(json: JSONValue) throws(DocumentError) {
        let object = try JSONObject(json)
        self.init(
            terminal: try object.read("terminal"),
            consoleSize: try object.read("consoleSize"),
            user: try object.read("user"),
            args: try object.read("args"),
            env: try object.read("env"),
            cwd: try object.read("cwd"),
            capabilities: try object.read("capabilities"),
            rlimits: try object.read("rlimits"),
            noNewPrivileges: try object.read("noNewPrivileges"),
            apparmorProfile: try object.read("apparmorProfile"),
            selinuxLabel: try object.read("selinuxLabel"),
            oomScoreAdj: try object.read("oomScoreAdj"),
            scheduler: try object.read("scheduler"),
            ioPriority: try object.read("ioPriority"),
            execCPUAffinity: try object.read("execCPUAffinity")
        )
    }
}

extension RuntimeSpec.ConsoleSize: JSONReadable {
    init(json: JSONValue) throws(DocumentError) {
        let object = try JSONObject(json)
        self.init(
            height: try object.require("height"),
            width: try object.require("width")
        )
    }
}

extension RuntimeSpec.User: JSONReadable {
    init(json: JSONValue) throws(DocumentError) {
        let object = try JSONObject(json)
        self.init(
            uid: try object.read("uid") ?? 0,
            gid: try object.read("gid") ?? 0,
            umask: try object.read("umask"),
            additionalGids: try object.read("additionalGids"),
            username: try object.read("username")
        )
    }
}

extension RuntimeSpec.Capabilities: JSONReadable {
    init(json: JSONValue) throws(DocumentError) {
        let object = try JSONObject(json)
        self.init(
            bounding: try object.read("bounding"),
            effective: try object.read("effective"),
            inheritable: try object.read("inheritable"),
            permitted: try object.read("permitted"),
            ambient: try object.read("ambient")
        )
    }
}

extension RuntimeSpec.Rlimit: JSONReadable {
    init(json: JSONValue) throws(DocumentError) {
        let object = try JSONObject(json)
        self.init(
            type: try object.require("type"),
            soft: try object.require("soft"),
            hard: try object.require("hard")
        )
    }
}

extension RuntimeSpec.Scheduler: JSONReadable {
    init(json: JSONValue) throws(DocumentError) {
        let object = try JSONObject(json)
        self.init(
            policy: try object.require("policy"),
            nice: try object.read("nice"),
            priority: try object.read("priority"),
            flags: try object.read("flags"),
            runtime: try object.read("runtime"),
            deadline: try object.read("deadline"),
            period: try object.read("period")
        )
    }
}

extension RuntimeSpec.IOPriority: JSONReadable {
    init(json: JSONValue) throws(DocumentError) {
        let object = try JSONObject(json)
        self.init(
            ioClass: try object.require("class"),
            priority: try object.require("priority")
        )
    }
}

extension RuntimeSpec.CPUAffinity: JSONReadable {
    init(json: JSONValue) throws(DocumentError) {
        let object = try JSONObject(json)
        self.init(
            initial: try object.read("initial"),
            final: try object.read("final")
        )
    }
}
