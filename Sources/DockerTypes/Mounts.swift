/// A relative block I/O weight for one device.
public struct WeightDevice: Codable, Sendable, Equatable, ZeroValue {
    /// Device path on the host.
    @Zero public var path: String
    /// Weight, 10 to 1000.
    @Zero public var weight: Int

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case path = "Path"
        case weight = "Weight"
    }
}

/// A block I/O limit for one device.
public struct ThrottleDevice: Codable, Sendable, Equatable, ZeroValue {
    /// Device path on the host.
    @Zero public var path: String
    /// Bytes or operations per second.
    @Zero public var rate: UInt64

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case path = "Path"
        case rate = "Rate"
    }
}

/// A host device that is shown inside the container.
public struct DeviceMapping: Codable, Sendable, Equatable, ZeroValue {
    /// Device path on the host.
    @Zero public var pathOnHost: String
    /// Device path in the container.
    @Zero public var pathInContainer: String
    /// Any of `r`, `w`, `m`.
    @Zero public var cgroupPermissions: String

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case pathOnHost = "PathOnHost"
        case pathInContainer = "PathInContainer"
        case cgroupPermissions = "CgroupPermissions"
    }
}

/// A request for devices that a driver finds.
public struct DeviceRequest: Codable, Sendable, Equatable, ZeroValue {
    /// Name of the driver.
    @Zero public var driver: String
    /// Number of devices; -1 for all.
    @Zero public var count: Int
    /// Device ids.
    public var deviceIDs: [String]?
    /// Alternatives of sets of capabilities.
    public var capabilities: [[String]]?
    /// Options of the driver.
    public var options: [String: String]?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case driver = "Driver"
        case count = "Count"
        case deviceIDs = "DeviceIDs"
        case capabilities = "Capabilities"
        case options = "Options"
    }
}

/// A resource limit of the container's processes.
public struct Ulimit: Codable, Sendable, Equatable, ZeroValue {
    /// Name without the `RLIMIT_` prefix, in lower case.
    @Zero public var name: String
    /// Hard limit; -1 for none.
    @Zero public var hard: Int
    /// Soft limit; -1 for none.
    @Zero public var soft: Int

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case name = "Name"
        case hard = "Hard"
        case soft = "Soft"
    }
}

/// Where the container's output goes.
public struct LogConfig: Codable, Sendable, Equatable, ZeroValue {
    /// Name of the log driver; empty for the daemon's default.
    @Zero public var type: String
    /// Options of the driver, such as `max-size` and `max-file`.
    public var config: [String: String]?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case type = "Type"
        case config = "Config"
    }
}

/// What happens when the container's process ends.
public struct RestartPolicy: Codable, Sendable, Equatable, ZeroValue {
    /// `no`, `always`, `unless-stopped`, `on-failure`, or empty for `no`.
    @Zero public var name: String
    /// Restarts before `on-failure` gives up; 0 for no limit.
    @Zero public var maximumRetryCount: Int

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case name = "Name"
        case maximumRetryCount = "MaximumRetryCount"
    }
}

/// A port of the host that leads to a port of the container.
public struct PortBinding: Codable, Sendable, Equatable, ZeroValue {
    /// Address on the host; empty for all.
    @Zero public var hostIp: String
    /// Port or range on the host; empty or `0` for any free one.
    @Zero public var hostPort: String

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case hostIp = "HostIp"
        case hostPort = "HostPort"
    }
}

/// Options of a bind mount.
public struct BindOptions: Codable, Sendable, Equatable, ZeroValue {
    /// Mount propagation: `private`, `rprivate`, `shared`, `rshared`, `slave`, `rslave`.
    public var propagation: String?
    /// Whether mounts below the source stay out.
    public var nonRecursive: Bool?
    /// Whether a missing source directory is made.
    public var createMountpoint: Bool?
    /// Whether only the top mount becomes read-only.
    public var readOnlyNonRecursive: Bool?
    /// Whether failing to make every submount read-only is an error.
    public var readOnlyForceRecursive: Bool?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case propagation = "Propagation"
        case nonRecursive = "NonRecursive"
        case createMountpoint = "CreateMountpoint"
        case readOnlyNonRecursive = "ReadOnlyNonRecursive"
        case readOnlyForceRecursive = "ReadOnlyForceRecursive"
    }
}

/// A volume driver with its options.
public struct VolumeDriverConfig: Codable, Sendable, Equatable, ZeroValue {
    /// Name of the driver.
    public var name: String?
    /// Options of the driver.
    public var options: [String: String]?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case name = "Name"
        case options = "Options"
    }
}

/// Options of a volume mount.
public struct VolumeOptions: Codable, Sendable, Equatable, ZeroValue {
    /// Whether the image's content at the target is left out.
    public var noCopy: Bool?
    /// Labels of a volume that this mount creates.
    public var labels: [String: String]?
    /// Path inside the volume.
    public var subpath: String?
    /// Driver of a volume that this mount creates.
    public var driverConfig: VolumeDriverConfig?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case noCopy = "NoCopy"
        case labels = "Labels"
        case subpath = "Subpath"
        case driverConfig = "DriverConfig"
    }
}

/// Options of an image mount.
public struct ImageOptions: Codable, Sendable, Equatable, ZeroValue {
    /// Path inside the image.
    public var subpath: String?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case subpath = "Subpath"
    }
}

/// Options of a tmpfs mount.
public struct TmpfsOptions: Codable, Sendable, Equatable, ZeroValue {
    /// Size limit in bytes.
    public var sizeBytes: Int?
    /// Permission bits.
    public var mode: Int?
    /// Further options as `[name]` or `[name, value]`.
    public var options: [[String]]?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case sizeBytes = "SizeBytes"
        case mode = "Mode"
        case options = "Options"
    }
}

/// A mount as requested by a client.
public struct Mount: Codable, Sendable, Equatable, ZeroValue {
    /// `bind`, `volume`, `tmpfs` or `image`.
    @Zero public var type: String
    /// Host path, volume name or image.
    public var source: String?
    /// Path in the container.
    @Zero public var target: String
    /// Whether writing is refused.
    public var readOnly: Bool?
    /// Ignored on Linux.
    public var consistency: String?
    /// Options of a bind mount.
    public var bindOptions: BindOptions?
    /// Options of a volume mount.
    public var volumeOptions: VolumeOptions?
    /// Options of an image mount.
    public var imageOptions: ImageOptions?
    /// Options of a tmpfs mount.
    public var tmpfsOptions: TmpfsOptions?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case type = "Type"
        case source = "Source"
        case target = "Target"
        case readOnly = "ReadOnly"
        case consistency = "Consistency"
        case bindOptions = "BindOptions"
        case volumeOptions = "VolumeOptions"
        case imageOptions = "ImageOptions"
        case tmpfsOptions = "TmpfsOptions"
    }
}
