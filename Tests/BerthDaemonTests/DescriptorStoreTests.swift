import BerthDaemon
import Dispatch
import EngineModel
import EngineShim
import Kernel
import Synchronization
import Testing

struct DescriptorStoreTests {
    @Test func serviceManagerThatIsSlowDelaysNobody() async throws {
        let told = Mutex<[String]>([])
        let gate = DispatchSemaphore(value: 0)
        let store = DescriptorStore { message in
            _ = gate.wait(timeout: .now() + 60)
            told.withLock { told in
                switch message {
                case .store(let name, _): told.append("+" + name)
                case .forget(let name): told.append("-" + name)
                }
            }
        }
        let held = HeldDescriptors()
        store.observe(held, present: [])
        let id = try #require(ContainerID(String(repeating: "a", count: 64)))
        let descriptor = SharedDescriptor(try File.open("/dev/null"))
        held.hold(descriptor, "listener", of: id)
        held.hold(SharedDescriptor(try File.open("/dev/null")), "listener", of: id)
        held.hold(descriptor, "init/stdin", of: id)
        held.drop(id)
        #expect(told.withLock { $0 } == [])
        for _ in 0..<4 { gate.signal() }
        await store.settle(within: .seconds(10))
        let name = "berth-\(id)-listener"
        #expect(told.withLock { $0 } == ["+" + name, "-" + name, "+" + name, "-" + name])
    }
}
