// How the Linux section is read from JSON values.

extension RuntimeSpec.NamespaceType: JSONReadable {}
extension RuntimeSpec.Seccomp.Action: JSONReadable {}
extension RuntimeSpec.Seccomp.Operator: JSONReadable {}

extension RuntimeSpec.Linux: JSONReadable {
    init(json: JSONValue) throws(DocumentError) {
        let object = try JSONObject(json)
        self.init(
            namespaces: try object.read("namespaces"),
            uidMappings: try object.read("uidMappings"),
            gidMappings: try object.read("gidMappings"),
            timeOffsets: try object.read("timeOffsets"),
            devices: try object.read("devices"),
            netDevices: try object.read("netDevices"),
            cgroupsPath: try object.read("cgroupsPath"),
            resources: try object.read("resources"),
            rootfsPropagation: try object.read("rootfsPropagation"),
            seccomp: try object.read("seccomp"),
            sysctl: try object.read("sysctl"),
            maskedPaths: try object.read("maskedPaths"),
            readonlyPaths: try object.read("readonlyPaths"),
            mountLabel: try object.read("mountLabel"),
            intelRdt: try object.read("intelRdt"),
            personality: try object.read("personality"),
            memoryPolicy: try object.read("memoryPolicy")
        )
    }
}

extension RuntimeSpec.Namespace: JSONReadable {
    init(json: JSONValue) throws(DocumentError) {
        let object = try JSONObject(json)
        self.init(
            type: try object.require("type"),
            path: try object.read("path")
        )
    }
}

extension RuntimeSpec.TimeOffset: JSONReadable {
    init(json: JSONValue) throws(DocumentError) {
        let object = try JSONObject(json)
        self.init(
            secs: try object.read("secs"),
            nanosecs: try object.read("nanosecs")
        )
    }
}

extension RuntimeSpec.Device: JSONReadable {
    init(json: JSONValue) throws(DocumentError) {
        let object = try JSONObject(json)
        self.init(
            type: try object.require("type"),
            path: try object.require("path"),
            major: try object.read("major"),
            minor: try object.read("minor"),
            fileMode: try object.read("fileMode"),
            uid: try object.read("uid"),
            gid: try object.read("gid")
        )
    }
}

extension RuntimeSpec.NetDevice: JSONReadable {
    init(json: JSONValue) throws(DocumentError) {
        let object = try JSONObject(json)
        self.init(
            name: try object.read("name")
        )
    }
}

extension RuntimeSpec.IntelRdt: JSONReadable {
    init(json: JSONValue) throws(DocumentError) {
        let object = try JSONObject(json)
        self.init(
            closID: try object.read("closID"),
            l3CacheSchema: try object.read("l3CacheSchema"),
            memBwSchema: try object.read("memBwSchema"),
            schemata: try object.read("schemata"),
            enableMonitoring: try object.read("enableMonitoring")
        )
    }
}

extension RuntimeSpec.Personality: JSONReadable {
    init(json: JSONValue) throws(DocumentError) {
        let object = try JSONObject(json)
        self.init(
            domain: try object.require("domain"),
            flags: try object.read("flags")
        )
    }
}

extension RuntimeSpec.MemoryPolicy: JSONReadable {
    init(json: JSONValue) throws(DocumentError) {
        let object = try JSONObject(json)
        self.init(
            mode: try object.require("mode"),
            nodes: try object.read("nodes"),
            flags: try object.read("flags")
        )
    }
}

extension RuntimeSpec.Seccomp: JSONReadable {
    init(json: JSONValue) throws(DocumentError) {
        let object = try JSONObject(json)
        self.init(
            defaultAction: try object.require("defaultAction"),
            defaultErrnoRet: try object.read("defaultErrnoRet"),
            architectures: try object.read("architectures"),
            flags: try object.read("flags"),
            listenerPath: try object.read("listenerPath"),
            listenerMetadata: try object.read("listenerMetadata"),
            syscalls: try object.read("syscalls")
        )
    }
}

extension RuntimeSpec.Seccomp.Rule: JSONReadable {
    init(json: JSONValue) throws(DocumentError) {
        let object = try JSONObject(json)
        self.init(
            names: try object.require("names"),
            action: try object.require("action"),
            errnoRet: try object.read("errnoRet"),
            args: try object.read("args")
        )
    }
}

extension RuntimeSpec.Seccomp.Argument: JSONReadable {
    init(json: JSONValue) throws(DocumentError) {
        let object = try JSONObject(json)
        self.init(
            index: try object.require("index"),
            value: try object.require("value"),
            valueTwo: try object.read("valueTwo"),
            op: try object.require("op")
        )
    }
}
