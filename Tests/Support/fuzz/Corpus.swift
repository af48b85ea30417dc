import FoundationEssentials
import OCISpec
import Seccomp
import ShimProtocol
import SwiftProtobuf

/// Valid inputs, from which the damaged ones are made.
enum Corpus {
    static let documents: [[UInt8]] = [full, container, process, resources, dockerProfile].map { $0 }

    /// Every field once.
    static let full = Array(
        #"""
        {"ociVersion":"1.2.0","hostname":"h","domainname":"d","annotations":{"k":"v","":"é\u00e9\ud83d\ude00"},
        "root":{"path":"rootfs","readonly":true},
        "process":{"terminal":true,"consoleSize":{"height":1,"width":2},"user":{"uid":1,"gid":2,"umask":63,
        "additionalGids":[4,5],"username":"a:b"},"args":["sh","-c","x y"],"env":["A=1"],"cwd":"/",
        "capabilities":{"bounding":["CAP_CHOWN"],"effective":[],"inheritable":[],"permitted":["CAP_KILL"],"ambient":[]},
        "rlimits":[{"type":"RLIMIT_NOFILE","soft":1,"hard":18446744073709551615}],"noNewPrivileges":true,
        "apparmorProfile":"p","selinuxLabel":"l","oomScoreAdj":-1000,"scheduler":{"policy":"SCHED_FIFO","nice":-20,
        "priority":1,"flags":["SCHED_FLAG_RECLAIM"],"runtime":1,"deadline":2,"period":3},
        "ioPriority":{"class":"IOPRIO_CLASS_BE","priority":7},"execCPUAffinity":{"initial":"0","final":"0-1,3"}},
        "mounts":[{"destination":"/x","type":"bind","source":"/y","options":["rbind","ro"],
        "uidMappings":[{"containerID":0,"hostID":1,"size":2}],"gidMappings":[]}],
        "hooks":{"prestart":[{"path":"/p","args":["a"],"env":["b"],"timeout":3}],"createRuntime":[],
        "createContainer":[],"startContainer":[],"poststart":[],"poststop":[]},
        "linux":{"namespaces":[{"type":"pid"},{"type":"network","path":"/n"}],"uidMappings":[],"gidMappings":[],
        "timeOffsets":{"monotonic":{"secs":-1,"nanosecs":2}},"devices":[{"type":"c","path":"/dev/x","major":1,"minor":3,
        "fileMode":438,"uid":1,"gid":2}],"netDevices":{"eth0":{"name":"e%d"}},"cgroupsPath":"/c",
        "rootfsPropagation":"slave","sysctl":{"net.ipv4.ip_forward":"1"},"maskedPaths":["/m"],"readonlyPaths":["/r"],
        "mountLabel":"l","intelRdt":{"closID":"c","l3CacheSchema":"L3:0=f","memBwSchema":"MB:0=1","schemata":["s:1"],
        "enableMonitoring":true},"personality":{"domain":"LINUX32","flags":[]},
        "memoryPolicy":{"mode":"MPOL_BIND","nodes":"0-1","flags":["MPOL_F_STATIC_NODES"]},
        "resources":{"devices":[{"allow":false,"access":"rwm"}],"memory":{"limit":-1}},
        "seccomp":{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,"architectures":["SCMP_ARCH_X86_64",
        "SCMP_ARCH_X86"],"flags":["SECCOMP_FILTER_FLAG_LOG"],"listenerPath":"/l","listenerMetadata":"m",
        "syscalls":[{"names":["read","socket"],"action":"SCMP_ACT_ALLOW","args":[{"index":1,"value":4294967301,
        "valueTwo":5,"op":"SCMP_CMP_MASKED_EQ"},{"index":0,"value":2,"op":"SCMP_CMP_LT"}]}]}}}
        """#.utf8
    )

    static let container = Array(
        #"{"ociVersion":"1.0.2-dev","process":{"args":["/bin/true"],"cwd":"/"},"root":{"path":"r"},"linux":{}}"#.utf8
    )

    static let process = Array(#"{"args":["ls","-l"],"cwd":"/tmp","env":["PATH=/bin"],"user":{"uid":0,"gid":0}}"#.utf8)

    static let resources = Array(
        #"""
        {"devices":[{"allow":true,"type":"b","major":-1,"minor":9223372036854775807,"access":"rw"}],
        "memory":{"limit":1,"reservation":2,"swap":3,"kernel":4,"kernelTCP":5,"swappiness":60,"disableOOMKiller":true,
        "useHierarchy":true,"checkBeforeUpdate":false},"cpu":{"shares":2,"quota":-1,"burst":3,"period":4,
        "realtimeRuntime":5,"realtimePeriod":6,"cpus":"0-1","mems":"0","idle":1},"pids":{"limit":-1},
        "blockIO":{"weight":10,"leafWeight":11,"weightDevice":[{"major":1,"minor":2,"weight":3,"leafWeight":4}],
        "throttleReadBpsDevice":[{"major":1,"minor":2,"rate":18446744073709551615}]},
        "hugepageLimits":[{"pageSize":"2MB","limit":1}],"network":{"classID":1,"priorities":[{"name":"e","priority":2}]},
        "rdma":{"mlx":{"hcaHandles":1,"hcaObjects":2}},"unified":{"memory.high":"1"}}
        """#.utf8
    )

    static let dockerProfile = Array(
        #"""
        {"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":1,"archMap":[{"architecture":"SCMP_ARCH_X86_64",
        "subArchitectures":["SCMP_ARCH_X86","SCMP_ARCH_X32"]}],"syscalls":[{"names":["clone","ioctl"],
        "action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":2114060288,"valueTwo":0,"op":"SCMP_CMP_MASKED_EQ"}],
        "includes":{"minKernel":"4.8"},"excludes":{"caps":["CAP_SYS_ADMIN"]}}]}
        """#.utf8
    )

    private static let compiled = try? SeccompCompiler.compile(
        .init(
            defaultAction: .errno,
            syscalls: [
                .init(names: ["read", "write"], action: .allow),
                .init(names: ["ioctl"], action: .allow, args: [.init(index: 1, value: 1 << 33, op: .greater)]),
            ]
        )
    )
    static let program = compiled?.encoded ?? [0]
    static let instructions = compiled?.instructions ?? [0]

    static let passwd = Array("root:x:0:0:root:/root:/bin/sh\nweb:x:33:44:w:/srv/web:/bin/sh\n0001:x:0:0::/:\n".utf8)
    static let group = Array("root:x:0:\nweb:x:44:\ntape:x:26:daemon,web\n4294967295:x:4294967295:web\n".utf8)
    static let users = ["web", "33", "33:26", "web:tape", "4294967294", "-1:0", ":", "1"]
    static let lists = ["0-3,7", "0", " 1 - 2 , 8191", "8192", "5-1", ","]
    static let parameters = [
        "net.ipv4.ip_forward", "kernel.shmmax", "net/ipv4/conf/eth0.1/forwarding", "kernel.core_pattern",
    ]
    static let digests = [
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "sha512:00", "sha256", ":",
    ]

    static let requests: [[UInt8]] = [
        TTRPCRequest.with {
            $0.service = "containerd.task.v2.Task"
            $0.method = "Connect"
            $0.payload = .init(TaskConnectRequest.with { $0.id = "box" }.bytes)
            $0.timeoutNano = .max
        }.bytes,
        TTRPCResponse.with { $0.payload = .init([1, 2, 3]) }.bytes,
        [0],
    ]
}
