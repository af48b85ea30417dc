// swift-tools-version: 6.2
import PackageDescription

// Products -----------------------------------------------------------------------------------------------------------
// ShimKit is what an author of a backend depends on, with what stands below it; the executables are what an operator installs.

let products: [Product] = [
    .library(
        name: "ShimKit",
        targets: ["ShimKit", "HostBundle", "CgroupMetrics", "Cgroups", "ShimProtocol", "OCISpec", "Kernel"]
    ),
    .executable(name: "berthd", targets: ["berthd"]),
    .executable(name: "berth", targets: ["berth"]),
    .executable(name: "berth-shim-native", targets: ["berth-shim-native"]),
    .executable(name: "berth-shim-restricted", targets: ["berth-shim-restricted"]),
    .executable(name: "berth-shim-oci", targets: ["berth-shim-oci"]),
    .executable(name: "berth-shim-foreign", targets: ["berth-shim-foreign"]),
    .executable(name: "berth-runtime", targets: ["berth-runtime"]),
    .executable(name: "shim-conformance", targets: ["shim-conformance"]),
]

// Dependencies: exact versions, one reason each (docs/architecture.md) ------------------------------------------------

let dependencies: [Package.Dependency] = [
    .package(url: "https://github.com/apple/swift-protobuf", exact: "1.39.0", traits: []),
    .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
    .package(url: "https://github.com/apple/swift-crypto", exact: "4.5.2"),
    .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-extras", exact: "1.35.2"),
    .package(url: "https://github.com/apple/swift-http-types", exact: "1.8.0", traits: []),
    .package(url: "https://github.com/hummingbird-project/hummingbird", exact: "2.28.1", traits: []),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", exact: "2.13.0"),
    .package(url: "https://github.com/groue/GRDB.swift", exact: "7.10.0"),
    .package(url: "https://github.com/LebJe/TOMLKit", exact: "0.6.0"),
]

// Settings -----------------------------------------------------------------------------------------------------------

let swift: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
]
let strict: [SwiftSetting] = swift + [.strictMemorySafety()]

// A shim is one static executable. The release build passes --static-swift-stdlib; a debug build links dynamically.
let staticExecutable: [LinkerSetting] = [.unsafeFlags(["-static-executable"], .when(configuration: .release))]

let protobuf: Target.Dependency = .product(name: "SwiftProtobuf", package: "swift-protobuf")
let log: Target.Dependency = .product(name: "Logging", package: "swift-log")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")

// Targets, in layer order --------------------------------------------------------------------------------------------

let targets: [Target] = [
    // 0 kernel
    .target(name: "CKernel"),
    .target(name: "Kernel", dependencies: ["CKernel"], swiftSettings: strict),

    // 1 values
    .target(name: "OCISpec", swiftSettings: strict),
    .target(
        name: "ShimProtocol",
        dependencies: ["Kernel", protobuf],
        exclude: ["Protos"],
        swiftSettings: strict
    ),

    // 2 mechanisms
    .systemLibrary(name: "CLibSeccomp", pkgConfig: "libseccomp", providers: [.apt(["libseccomp-dev"])]),
    .target(name: "Netlink", dependencies: ["Kernel"], swiftSettings: strict),
    .target(name: "Cgroups", dependencies: ["Kernel", "OCISpec"], swiftSettings: strict),
    .target(name: "Seccomp", dependencies: ["Kernel", "OCISpec", "CLibSeccomp"], swiftSettings: strict),
    .target(name: "WorkloadProfiles", dependencies: ["Kernel", "OCISpec", "Seccomp"], swiftSettings: strict),
    .target(name: "DocumentTexts", dependencies: ["Kernel", "OCISpec"], swiftSettings: strict),
    .target(name: "MountTrees", dependencies: ["Kernel"], swiftSettings: strict),
    .target(
        name: "Sandbox",
        dependencies: ["Kernel", "OCISpec", "DocumentTexts", "Cgroups", "Seccomp", "Netlink", "MountTrees"],
        swiftSettings: strict
    ),
    .target(
        name: "NativeContainer",
        dependencies: ["Kernel", "OCISpec", "Cgroups", "Seccomp", "Sandbox"],
        swiftSettings: strict
    ),
    .target(name: "ContainerIO", dependencies: ["Kernel"], swiftSettings: strict),
    .systemLibrary(name: "CIsal", pkgConfig: "libisal", providers: [.apt(["libisal-dev"])]),
    .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
    .target(name: "Archive", dependencies: ["Kernel", "CIsal", "CZstd"], swiftSettings: strict),
    .target(
        name: "ContentStore",
        dependencies: ["Kernel", "OCISpec", "DocumentTexts", "Archive", crypto],
        swiftSettings: strict
    ),
    .target(
        name: "Snapshots",
        dependencies: ["Kernel", "OCISpec", "DocumentTexts", "Archive", "ContentStore"],
        swiftSettings: strict
    ),

    // 3 shim framework
    .target(
        name: "ShimModel",
        dependencies: ["Kernel", "DocumentTexts", "ShimProtocol", protobuf],
        swiftSettings: strict
    ),
    .target(
        name: "ShimStreams",
        dependencies: ["Kernel", "ShimProtocol", "ContainerIO", "ShimModel", protobuf],
        swiftSettings: strict
    ),
    .target(
        name: "ShimKit",
        dependencies: [
            "Kernel", "OCISpec", "DocumentTexts", "ShimProtocol", "ContainerIO", "ShimModel", "ShimStreams", protobuf,
        ],
        swiftSettings: strict
    ),
    .target(
        name: "ShimKitTesting",
        dependencies: ["Kernel", "OCISpec", "ShimProtocol", protobuf],
        swiftSettings: swift
    ),

    .target(name: "CgroupMetrics", dependencies: ["Cgroups", "ShimProtocol"], swiftSettings: strict),
    .target(
        name: "HostBundle",
        dependencies: ["ShimKit", "DocumentTexts", "Sandbox", "Cgroups", "Kernel", "OCISpec"],
        swiftSettings: strict
    ),

    .target(
        name: "NativeShim",
        dependencies: [
            "ShimKit", "ShimProtocol", "DocumentTexts", "NativeContainer", "Sandbox", "Seccomp", "Cgroups",
            "CgroupMetrics", "Kernel", "OCISpec", protobuf,
        ],
        swiftSettings: strict
    ),

    // 4 backends
    .executableTarget(
        name: "berth-shim-native",
        dependencies: ["NativeShim", "ShimKit"],
        path: "Plugins/native",
        exclude: ["README.md"],
        swiftSettings: strict,
        linkerSettings: staticExecutable
    ),
    .executableTarget(
        name: "berth-shim-restricted",
        dependencies: [
            "NativeShim", "ShimKit", "ShimProtocol", "Sandbox", "Seccomp", "Kernel", "OCISpec", protobuf,
        ],
        path: "Plugins/restricted",
        exclude: ["README.md"],
        swiftSettings: strict,
        linkerSettings: staticExecutable
    ),
    .executableTarget(
        name: "berth-shim-oci",
        dependencies: [
            "ShimKit", "ShimProtocol", "DocumentTexts", "Cgroups", "CgroupMetrics", "HostBundle", "OCISpec", "Kernel",
        ],
        path: "Plugins/oci",
        exclude: ["README.md"],
        swiftSettings: strict,
        linkerSettings: staticExecutable
    ),
    .executableTarget(
        name: "berth-shim-foreign",
        dependencies: ["ShimKit", "ShimProtocol", "DocumentTexts", "HostBundle", "Kernel", protobuf],
        path: "Plugins/foreign",
        exclude: ["README.md"],
        swiftSettings: strict,
        linkerSettings: staticExecutable
    ),
    // Like a backend of somebody else's, it is not shipped.
    .executableTarget(
        name: "berth-shim-example",
        dependencies: ["ShimKit", "HostBundle", "Kernel", "OCISpec"],
        path: "Plugins/example",
        exclude: ["README.md"],
        swiftSettings: strict,
        linkerSettings: staticExecutable
    ),

    // 5 engine
    .target(
        name: "EngineModel",
        dependencies: ["Kernel", "DocumentTexts", "ContentStore", "Snapshots", log],
        swiftSettings: swift
    ),
    .target(name: "EngineSpec", dependencies: ["EngineModel", "Kernel", "OCISpec"], swiftSettings: swift),
    .target(
        name: "EngineStore",
        dependencies: [
            "EngineModel", "EngineSpec", "DocumentTexts", "Kernel", .product(name: "GRDB", package: "GRDB.swift"),
        ],
        swiftSettings: swift
    ),
    .target(
        name: "EngineShim",
        dependencies: [
            "EngineModel", "Kernel", "DocumentTexts", "ShimProtocol", protobuf,
            .product(name: "NIOCore", package: "swift-nio"),
            .product(name: "NIOPosix", package: "swift-nio"),
        ],
        swiftSettings: swift
    ),
    .target(
        name: "EngineContainer",
        dependencies: [
            "EngineModel", "EngineSpec", "EngineStore", "EngineShim", "Kernel", "OCISpec", "ShimProtocol",
            "DocumentTexts", "ContainerIO", "MountTrees",
            "Archive", "ContentStore", "Snapshots", "Seccomp", "WorkloadProfiles", log, protobuf,
            .product(name: "NIOCore", package: "swift-nio"),
            .product(name: "NIOPosix", package: "swift-nio"),
        ],
        swiftSettings: swift
    ),
    .target(
        name: "Engine",
        dependencies: [
            "EngineModel", "EngineSpec", "EngineStore", "EngineShim", "EngineContainer", "Kernel", "OCISpec",
            "DocumentTexts", "ShimProtocol", "ContainerIO", "Archive", "ContentStore", "Snapshots", "Seccomp",
            "WorkloadProfiles", log,
            protobuf,
            .product(name: "NIOCore", package: "swift-nio"),
            .product(name: "NIOPosix", package: "swift-nio"),
        ],
        swiftSettings: swift
    ),

    // 6 faces
    .target(name: "DockerTypes", swiftSettings: swift),
    .target(
        name: "DockerAPI",
        dependencies: [
            "Engine", "EngineContainer", "EngineModel", "EngineStore", "WorkloadProfiles", "Seccomp", "DockerTypes",
            "Kernel", log,
            .product(name: "HummingbirdCore", package: "hummingbird"),
            .product(name: "HTTPTypes", package: "swift-http-types"),
            .product(name: "NIOCore", package: "swift-nio"),
            .product(name: "NIOPosix", package: "swift-nio"),
            .product(name: "NIOHTTP1", package: "swift-nio"),
            .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
            .product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras"),
        ],
        swiftSettings: swift
    ),
    .target(
        name: "Client",
        dependencies: [
            "DockerTypes", "Kernel",
            .product(name: "NIOCore", package: "swift-nio"),
            .product(name: "NIOEmbedded", package: "swift-nio"),
            .product(name: "NIOHTTP1", package: "swift-nio"),
        ],
        swiftSettings: swift
    ),
    .target(
        name: "BerthDaemon",
        dependencies: [
            "Engine", "EngineModel", "EngineShim", "DockerAPI", "DockerTypes", "Kernel", log,
            .product(name: "ArgumentParser", package: "swift-argument-parser"),
            .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            .product(name: "TOMLKit", package: "TOMLKit"),
        ],
        swiftSettings: swift
    ),
    .executableTarget(name: "berthd", dependencies: ["BerthDaemon"], swiftSettings: swift),
    .executableTarget(
        name: "berth",
        dependencies: [
            "Client", "DockerTypes", "Kernel",
            .product(name: "ArgumentParser", package: "swift-argument-parser"),
        ],
        swiftSettings: swift,
        linkerSettings: staticExecutable
    ),
    .executableTarget(
        name: "berth-runtime",
        dependencies: ["NativeContainer", "Sandbox", "MountTrees", "Seccomp", "Cgroups", "Kernel", "OCISpec"],
        swiftSettings: strict,
        linkerSettings: staticExecutable
    ),

    // What `berth backend test` runs; shipped for authors of backends.
    .executableTarget(
        name: "shim-conformance",
        dependencies: ["ShimKitTesting", "Kernel"],
        swiftSettings: swift,
        linkerSettings: staticExecutable
    ),

    // Shipped as tools/lib.sh compiles it; this target puts one beside the tests.
    .executableTarget(name: "berth-scope", linkerSettings: [.linkedLibrary("systemd")]),

    // Tests
    .target(
        name: "ProbeSupport",
        dependencies: ["Kernel"],
        path: "Tests/Support/ProbeSupport",
        swiftSettings: swift
    ),
    .executableTarget(
        name: "kernel-probe",
        dependencies: ["Kernel", "Netlink", "Cgroups"],
        path: "Tests/Support/kernel-probe",
        swiftSettings: swift
    ),
    // Work that runs into a limit, in C so that it is small and does nothing else.
    .executableTarget(name: "limit-load", path: "Tests/Support/limit-load"),
    .testTarget(name: "KernelTests", dependencies: ["Kernel", "ProbeSupport", "kernel-probe"], swiftSettings: swift),
    .testTarget(name: "NetlinkTests", dependencies: ["Netlink", "ProbeSupport", "kernel-probe"], swiftSettings: swift),
    .testTarget(
        name: "CgroupsTests",
        dependencies: [
            "Cgroups", "Kernel", "OCISpec", "ProbeSupport", "kernel-probe", "limit-load", "berth-scope",
        ],
        swiftSettings: swift
    ),
    .executableTarget(
        name: "sandbox-run",
        dependencies: ["Sandbox", "Seccomp", "Cgroups", "OCISpec", "Kernel"],
        path: "Tests/Support/sandbox-run",
        swiftSettings: swift,
        linkerSettings: staticExecutable
    ),
    .testTarget(
        name: "SandboxTests",
        dependencies: [
            "Sandbox", "DocumentTexts", "MountTrees", "Cgroups", "Seccomp", "OCISpec", "Kernel", "ProbeSupport",
            "sandbox-run",
        ],
        swiftSettings: swift
    ),
    .executableTarget(
        name: "fuzz",
        dependencies: [
            "OCISpec", "DocumentTexts", "ShimProtocol", "Seccomp", "Sandbox", "MountTrees", "Kernel", protobuf,
        ],
        path: "Tests/Support/fuzz",
        swiftSettings: swift
    ),
    .testTarget(name: "FuzzTests", dependencies: ["Kernel", "ProbeSupport", "fuzz"], swiftSettings: swift),
    .testTarget(name: "OCISpecTests", dependencies: ["OCISpec"], swiftSettings: swift),
    .testTarget(name: "ContainerIOTests", dependencies: ["ContainerIO", "Kernel"], swiftSettings: swift),
    .testTarget(name: "SeccompTests", dependencies: ["Seccomp", "OCISpec", "Kernel"], swiftSettings: swift),
    .testTarget(
        name: "WorkloadProfilesTests",
        dependencies: ["WorkloadProfiles", "Seccomp", "OCISpec"],
        swiftSettings: swift
    ),
    .testTarget(name: "ArchiveTests", dependencies: ["Archive", "Kernel"], swiftSettings: swift),
    .testTarget(
        name: "ContentStoreTests",
        dependencies: ["ContentStore", "Archive", "OCISpec", "Kernel"],
        swiftSettings: swift
    ),
    .testTarget(
        name: "SnapshotsTests",
        dependencies: ["Snapshots", "ContentStore", "Archive", "OCISpec", "Kernel"],
        swiftSettings: swift
    ),
    .testTarget(name: "DockerTypesTests", dependencies: ["DockerTypes"], swiftSettings: swift),
    .testTarget(
        name: "DockerAPITests",
        dependencies: [
            "DockerAPI", "DockerTypes", "Engine", "EngineModel", "Kernel", log,
            .product(name: "HummingbirdCore", package: "hummingbird"),
            .product(name: "HTTPTypes", package: "swift-http-types"),
            .product(name: "NIOCore", package: "swift-nio"),
            .product(name: "NIOPosix", package: "swift-nio"),
        ],
        swiftSettings: swift
    ),
    // The daemon that ends itself between two steps; run by tests of recovery.
    .executableTarget(
        name: "berthd-faults",
        dependencies: ["BerthDaemon", "EngineModel", "Kernel"],
        path: "Tests/Support/berthd-faults",
        swiftSettings: swift
    ),
    .testTarget(
        name: "EngineTests",
        dependencies: [
            "EngineContainer", "EngineModel", "EngineShim", "EngineSpec", "EngineStore", "Kernel", "ModelCheck",
            "OCISpec",
            "ShimProtocol", "WorkloadProfiles", log, protobuf,
            .product(name: "GRDB", package: "GRDB.swift"),
        ],
        swiftSettings: swift
    ),
    .testTarget(
        name: "BerthDaemonTests",
        dependencies: ["BerthDaemon", "EngineModel", "EngineShim", "Kernel"],
        swiftSettings: swift
    ),
    .testTarget(name: "ShimProtocolTests", dependencies: ["ShimProtocol", "Kernel", protobuf], swiftSettings: swift),
    .executableTarget(
        name: "berth-shim-plain",
        dependencies: ["ShimKit", "ShimProtocol", "Kernel", "OCISpec"],
        path: "Tests/Support/berth-shim-plain",
        swiftSettings: swift
    ),
    .testTarget(
        name: "ShimKitTests",
        dependencies: [
            "ShimKit", "ShimModel", "ShimStreams", "ShimKitTesting", "ShimProtocol", "ContainerIO", "Kernel",
            "ModelCheck",
            "berth-shim-plain",
            protobuf,
        ],
        swiftSettings: swift
    ),
    .testTarget(
        name: "BackendTests",
        dependencies: [
            "ShimKitTesting", "ShimProtocol", "Kernel", "berth-shim-native", "berth-shim-restricted", "berth-shim-oci",
            "berth-shim-foreign", "berth-shim-example", "berth-runtime", "berth", "shim-conformance", protobuf,
        ],
        swiftSettings: swift
    ),
    // Ends a program at a system call, in C so that nothing else comes between.
    .executableTarget(name: "kill-at", path: "Tests/Support/kill-at"),
    .testTarget(
        name: "RuntimeTests",
        dependencies: ["berth-runtime", "SystemFixture", "Kernel", "shim-conformance", "kill-at"],
        swiftSettings: swift
    ),
    .testTarget(name: "ClientTests", dependencies: ["Client"], swiftSettings: swift),
    .testTarget(
        name: "BerthTests",
        dependencies: ["berth", .product(name: "ArgumentParser", package: "swift-argument-parser")],
        swiftSettings: swift
    ),
    .target(name: "SystemFixture", path: "Tests/Support/SystemFixture", swiftSettings: swift),
    .target(name: "ModelCheck", path: "Tests/Support/ModelCheck", swiftSettings: swift),
    // A backend that does wrong what its name says.
    .executableTarget(
        name: "hostile-backend",
        dependencies: ["ShimProtocol", "Kernel", protobuf],
        path: "Tests/Support/hostile-backend",
        swiftSettings: swift
    ),
    .testTarget(
        name: "SystemTests",
        dependencies: ["SystemFixture", "Kernel", "hostile-backend"],
        swiftSettings: swift
    ),
    .testTarget(
        name: "UpgradeTests",
        dependencies: [
            "SystemFixture", "ContentStore", "DocumentTexts", "OCISpec", "Seccomp", "berthd-faults", "berth-shim-plain",
        ],
        swiftSettings: swift
    ),
    .testTarget(
        name: "SecurityTests",
        dependencies: ["SystemFixture", "Seccomp", "OCISpec", "Kernel", "sandbox-run"],
        swiftSettings: swift
    ),
]

let package = Package(
    name: "berth",
    products: products,
    dependencies: dependencies,
    targets: targets,
    cLanguageStandard: .gnu11
)
