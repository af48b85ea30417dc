// How limits are read from JSON values.

extension RuntimeSpec.Resources: JSONReadable {
    init(json: JSONValue) throws(DocumentError) {
        let object = try JSONObject(json)
        self.init(
            devices: try object.read("devices"),
            memory: try object.read("memory"),
            cpu: try object.read("cpu"),
            pids: try object.read("pids"),
            blockIO: try object.read("blockIO"),
            hugepageLimits: try object.read("hugepageLimits"),
            network: try object.read("network"),
            rdma: try object.read("rdma"),
            unified: try object.read("unified")
        )
    }
}

extension RuntimeSpec.DeviceRule: JSONReadable {
    init(json: JSONValue) throws(DocumentError) {
        let object = try JSONObject(json)
        self.init(
            allow: try object.require("allow"),
            type: try object.read("type"),
            major: try object.read("major"),
            minor: try object.read("minor"),
            access: try object.read("access")
        )
    }
}

extension RuntimeSpec.Memory: JSONReadable {
    init(json: JSONValue) throws(DocumentError) {
        let object = try JSONObject(json)
        self.init(
            limit: try object.read("limit"),
            reservation: try object.read("reservation"),
            swap: try object.read("swap"),
            kernel: try object.read("kernel"),
            kernelTCP: try object.read("kernelTCP"),
            swappiness: try object.read("swappiness"),
            disableOOMKiller: try object.read("disableOOMKiller"),
            useHierarchy: try object.read("useHierarchy"),
            checkBeforeUpdate: try object.read("checkBeforeUpdate")
        )
    }
}

extension RuntimeSpec.CPU: JSONReadable {
    init(json: JSONValue) throws(DocumentError) {
        let object = try JSONObject(json)
        self.init(
            shares: try object.read("shares"),
            quota: try object.read("quota"),
            burst: try object.read("burst"),
            period: try object.read("period"),
            realtimeRuntime: try object.read("realtimeRuntime"),
            realtimePeriod: try object.read("realtimePeriod"),
            cpus: try object.read("cpus"),
            mems: try object.read("mems"),
            idle: try object.read("idle")
        )
    }
}

extension RuntimeSpec.Pids: JSONReadable {
    init(json: JSONValue) throws(DocumentError) {
        let object = try JSONObject(json)
        self.init(
            limit: try object.read("limit")
        )
    }
}

extension RuntimeSpec.BlockIO: JSONReadable {
    init(json: JSONValue) throws(DocumentError) {
        let object = try JSONObject(json)
        self.init(
            weight: try object.read("weight"),
            leafWeight: try object.read("leafWeight"),
            weightDevice: try object.read("weightDevice"),
            throttleReadBpsDevice: try object.read("throttleReadBpsDevice"),
            throttleWriteBpsDevice: try object.read("throttleWriteBpsDevice"),
            throttleReadIOPSDevice: try object.read("throttleReadIOPSDevice"),
            throttleWriteIOPSDevice: try object.read("throttleWriteIOPSDevice")
        )
    }
}

extension RuntimeSpec.WeightDevice: JSONReadable {
    init(json: JSONValue) throws(DocumentError) {
        let object = try JSONObject(json)
        self.init(
            major: try object.require("major"),
            minor: try object.require("minor"),
            weight: try object.read("weight"),
            leafWeight: try object.read("leafWeight")
        )
    }
}

extension RuntimeSpec.ThrottleDevice: JSONReadable {
    init(json: JSONValue) throws(DocumentError) {
        let object = try JSONObject(json)
        self.init(
            major: try object.require("major"),
            minor: try object.require("minor"),
            rate: try object.require("rate")
        )
    }
}

extension RuntimeSpec.HugepageLimit: JSONReadable {
    init(json: JSONValue) throws(DocumentError) {
        let object = try JSONObject(json)
        self.init(
            pageSize: try object.require("pageSize"),
            limit: try object.require("limit")
        )
    }
}

extension RuntimeSpec.Network: JSONReadable {
    init(json: JSONValue) throws(DocumentError) {
        let object = try JSONObject(json)
        self.init(
            classID: try object.read("classID"),
            priorities: try object.read("priorities")
        )
    }
}

extension RuntimeSpec.InterfacePriority: JSONReadable {
    init(json: JSONValue) throws(DocumentError) {
        let object = try JSONObject(json)
        self.init(
            name: try object.require("name"),
            priority: try object.require("priority")
        )
    }
}

extension RuntimeSpec.RDMA: JSONReadable {
    init(json: JSONValue) throws(DocumentError) {
        let object = try JSONObject(json)
        self.init(
            hcaHandles: try object.read("hcaHandles"),
            hcaObjects: try object.read("hcaObjects")
        )
    }
}
