import EngineModel
import EngineSpec
import Kernel
import Testing

/// What a create refuses, case by case.
struct CheckTests {
    func check(_ change: (inout ContainerConfiguration) -> Void) throws {
        var configuration = ContainerConfiguration(image: "x")
        change(&configuration)
        try ConfigurationCheck.check(configuration, cpus: 2)
    }

    func code(_ change: (inout ContainerConfiguration) -> Void) -> ErrorCode? {
        do {
            try check(change)
            return nil
        } catch {
            return (error as? EngineError)?.code
        }
    }

    @Test func defaultsAreFine() throws {
        try check { _ in }
    }

    @Test func labelsNeedTheirModule() throws {
        func code(_ modules: Set<SecurityModule>, _ change: (inout ContainerConfiguration) -> Void) -> ErrorCode? {
            var configuration = ContainerConfiguration(image: "x")
            change(&configuration)
            do {
                try ConfigurationCheck.labels(configuration, modules: modules)
                return nil
            } catch {
                return (error as? EngineError)?.code
            }
        }
        #expect(code([]) { _ in } == nil)
        #expect(code([]) { $0.appArmorProfile = "unconfined" } == nil)
        #expect(code([]) { $0.appArmorProfile = "box" } == .unsupported)
        #expect(code([.selinux]) { $0.appArmorProfile = "box" } == .unsupported)
        #expect(code([.appArmor]) { $0.appArmorProfile = "box" } == nil)
        #expect(code([.appArmor]) { $0.appArmorProfile = "a\nb" } == .invalidArgument)
        #expect(code([.appArmor]) { $0.selinuxLabel = SELinuxLabel() } == .unsupported)
        #expect(code([.selinux]) { $0.selinuxLabel = SELinuxLabel() } == nil)
    }

    @Test func memory() {
        #expect(code { $0.resources.memoryInBytes = 6 << 20 } == nil)
        #expect(code { $0.resources.memoryInBytes = (6 << 20) - 1 } == .invalidArgument)
        #expect(code { $0.resources.memoryInBytes = -1 } == .invalidArgument)
        #expect(code { $0.resources.memorySwapInBytes = 8 << 20 } == .invalidArgument)
        #expect(
            code {
                $0.resources.memoryInBytes = 16 << 20
                $0.resources.memorySwapInBytes = 8 << 20
            } == .invalidArgument
        )
    }

    @Test func processors() {
        #expect(code { $0.resources.nanoCPUs = 2_000_000_000 } == nil)
        #expect(code { $0.resources.nanoCPUs = 2_000_000_001 } == .invalidArgument)
        #expect(code { $0.resources.nanoCPUs = 1 } == .invalidArgument)
        #expect(code { $0.resources.cpusetCPUs = "0-1" } == nil)
        #expect(code { $0.resources.cpusetCPUs = "zero" } == .invalidArgument)
    }

    @Test(arguments: ["a\nb", "a\u{0}", "a\tb", String(repeating: "a", count: 65), "a/b"])
    func badHostnames(name: String) {
        #expect(code { $0.hostname = name } == .invalidArgument)
    }

    @Test(arguments: ["NAME=a\u{0}b", "=x", "", "NA\nME=x", "HOME=/root\nx:0:0"])
    func badVariables(text: String) {
        #expect(code { $0.environment = [text] } == .invalidArgument)
    }

    @Test func aVariableMayHaveLines() {
        #expect(code { $0.environment = ["TEXT=a\nb", "REMOVED"] } == nil)
    }

    @Test(arguments: ["0", "1:1", "0001", "name", "name:7", "7:name", "4294967294"])
    func goodUsers(user: String) throws {
        try ConfigurationCheck.user(user)
    }

    @Test(
        arguments: [
            ":", ":1", "1:", "a:b:c", "4294967295", "4294967296", "99999999999", "-1", "+1", "0x0", "1000 ", "a\nb",
            "1a",
        ]
    )
    func badUsers(user: String) {
        #expect(throws: EngineError.self) { try ConfigurationCheck.user(user) }
    }

    @Test(arguments: ["kernel.shm_rmid_forced=1+kernel.core_pattern", "kernel.core_pattern", "a b", "net/../kernel/x"])
    func badSysctls(key: String) {
        #expect(code { $0.sysctls = [key: "1"] } == .invalidArgument)
    }

    @Test func sysctlsOfOwnNamespacesOnly() {
        #expect(code { $0.sysctls = ["net.core.somaxconn": "1"] } == nil)
        #expect(
            code {
                $0.sysctls = ["net.core.somaxconn": "1"]
                $0.network = .host
            } == .invalidArgument
        )
        #expect(code { $0.sysctls = ["kernel.shmmax": "1\n2"] } == .invalidArgument)
    }

    @Test(arguments: ["SIGTERM", "term", "15", "KILL", "SIGRTMIN+3", "64"]) func signals(text: String) throws {
        _ = try ConfigurationCheck.signal(text)
    }

    @Test(arguments: ["", "0", "65", "SIGNOPE", "-1"]) func badSignals(text: String) {
        #expect(throws: EngineError.self) { try ConfigurationCheck.signal(text) }
    }

    @Test func limitsOfTheProcess() {
        #expect(code { $0.ulimits = [Ulimit(name: "nofile", soft: 5, hard: 4)] } == .invalidArgument)
        #expect(code { $0.ulimits = [Ulimit(name: "wings", soft: 1, hard: 1)] } == .invalidArgument)
        #expect(code { $0.oomScoreAdjustment = 1001 } == .invalidArgument)
    }

    @Test func policiesThatExcludeOneAnother() {
        #expect(
            code {
                $0.autoRemove = true
                $0.restartPolicy = .always
            } == .invalidArgument
        )
        #expect(code { $0.network = .named("web") } == .notFound)
    }

    @Test(arguments: ["db", "db:", ":1.2.3.4", "d b:1.2.3.4", "db:1.2.3.4\nx"]) func badExtraHosts(text: String) {
        #expect(code { $0.extraHosts = [text] } == .invalidArgument)
    }

    @Test func logOptions() throws {
        let log = try LogConfiguration(driver: "json-file", options: ["max-size": "10m", "max-file": "3"])
        #expect(log.maxSizeInBytes == 10 << 20 && log.maxFiles == 3 && log.enabled)
        #expect(try LogConfiguration(driver: "none", options: [:]).enabled == false)
        for (driver, options) in [
            ("syslog", [:]), ("json-file", ["max-size": "ten"]), ("json-file", ["max-file": "0"]),
            ("json-file", ["x": "y"]),
            ("json-file", ["max-size": "99999999999g"]),
        ] {
            #expect(throws: EngineError.self) { try LogConfiguration(driver: driver, options: options) }
        }
    }

    @Test func ids() {
        let id = ContainerID.random()
        #expect(ContainerID(id.description) == id)
        #expect(ContainerID("ABC") == nil && ContainerID(String(repeating: "A", count: 64)) == nil)
        #expect(id.short.count == 12)
    }
}
