internal import OCISpec

extension CgroupV1 {
    func apply(_ blockIO: RuntimeSpec.BlockIO) throws(CgroupError) {
        if let value = blockIO.weight, value != 0 { try setWeight("blockIO.weight", "weight", String(value)) }
        if let value = blockIO.leafWeight, value != 0 {
            try set("blockIO.leafWeight", "blkio", "blkio.leaf_weight", String(value))
        }
        for device in blockIO.weightDevice ?? [] {
            let number = "\(device.major):\(device.minor)"
            if let weight = device.weight {
                try setWeight("blockIO.weightDevice", "weight_device", "\(number) \(weight)")
            }
            if let weight = device.leafWeight {
                try set("blockIO.weightDevice", "blkio", "blkio.leaf_weight_device", "\(number) \(weight)")
            }
        }
        try throttle("blockIO.throttleReadBpsDevice", "read_bps", blockIO.throttleReadBpsDevice)
        try throttle("blockIO.throttleWriteBpsDevice", "write_bps", blockIO.throttleWriteBpsDevice)
        try throttle("blockIO.throttleReadIOPSDevice", "read_iops", blockIO.throttleReadIOPSDevice)
        try throttle("blockIO.throttleWriteIOPSDevice", "write_iops", blockIO.throttleWriteIOPSDevice)
    }

    /// `blkio.weight` belonged to the CFQ scheduler, gone in Linux 5.0; BFQ's file has the same range.
    private func setWeight(_ field: String, _ file: String, _ value: String) throws(CgroupError) {
        let old = member("blkio")?.has("blkio.\(file)") ?? false
        try set(field, "blkio", old ? "blkio.\(file)" : "blkio.bfq.\(file)", value)
    }

    private func throttle(
        _ field: String,
        _ file: String,
        _ devices: [RuntimeSpec.ThrottleDevice]?
    ) throws(CgroupError) {
        for device in devices ?? [] {
            try set(field, "blkio", "blkio.throttle.\(file)_device", "\(device.major):\(device.minor) \(device.rate)")
        }
    }
}
