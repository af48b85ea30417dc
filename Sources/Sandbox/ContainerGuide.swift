internal import Cgroups
internal import Kernel

/// A short-lived process that goes ahead where a child of the maker could not be born directly.
///
/// It enters or makes the namespaces that only children get, or that the container's process would have no right to enter,
/// clones that process as its own sibling, hands its descriptor to the maker and ends. The maker never changes a namespace
/// of its own, so whatever fails leaves it as it was.
struct ContainerGuide {
    let plan: ContainerPlan
    /// What the guide and the maker say to each other.
    let channel: HandshakeEnd

    /// Clones the container's first process, or has it cloned.
    ///
    /// Nil is that process.
    static func clone(_ plan: ContainerPlan, cgroup: CgroupEntrance?) throws(SandboxError) -> Child? {
        guard plan.needsGuide else {
            return try Sandbox.fork(plan.clonedNamespaces, cgroup: cgroup?.directory?.raw)
        }
        let (ours, theirs) = try step(.handshake) { () throws(KernelError) in
            try UnixSocket.pair(kind: .sequentialPackets)
        }
        // What it clones is born in the same cgroup.
        guard let guide = try Sandbox.fork([], cgroup: cgroup?.directory?.raw) else {
            let guide = ContainerGuide(plan: plan, channel: HandshakeEnd(socket: theirs.raw))
            do throws(SandboxError) {
                try step(.handshake) { () throws(KernelError) in
                    try DescriptorTable.close(from: UInt32(ours.raw), through: UInt32(ours.raw))
                }
                guard let child = try guide.lead() else { return nil }
                ChildReport.handOver(child, guide.channel)
            } catch {
                ChildReport.failAndExit(guide.channel, error)
            }
        }
        // When it has said what it has to say, or nothing in time, it has nothing left to do.
        defer { SandboxProcess.abandon(guide.pidfd.raw) }
        return try receive(HandshakeEnd(socket: ours.raw))
    }

    /// The maker's side: waits for the process.
    static func receive(_ end: HandshakeEnd) throws(SandboxError) -> Child {
        let answer = try SandboxProcess.answer(end, within: Sandbox.patience)
        guard case .cloned(let pid) = answer.message, let pidfd = answer.descriptors.first else {
            throw .refused(.handshake, "create process", "", "unexpected message", code: .internal)
        }
        return try step(.handshake) { () throws(KernelError) in
            Child(pid: pid, pidfd: Pidfd(try pidfd.duplicate()))
        }
    }

    private func lead() throws(SandboxError) -> Child? {
        // Opened while `/proc` is the host's.
        let offsets = plan.clockOffsets.isEmpty ? nil : try clockOffsets()
        for namespace in plan.joinedBeforeClone {
            try step(.namespaces) { () throws(KernelError) in
                try Namespace.enter(namespace.descriptor.raw, namespace.kind)
            }
            if namespace.kind == .uts { try ContainerSetup.setNames(plan) }
        }
        if plan.newNamespaces.contains(.time) { try makeTimeNamespace(offsets) }
        return try Sandbox.fork(plan.clonedNamespaces, cgroup: nil, asSibling: true)
    }

    private func clockOffsets() throws(SandboxError) -> SharedDescriptor {
        try step(.namespaces) { () throws(KernelError) in
            SharedDescriptor(try File.open("/proc/self/timens_offsets", .write))
        }
    }

    private func makeTimeNamespace(_ offsets: SharedDescriptor?) throws(SandboxError) {
        try step(.namespaces) { () throws(KernelError) in try Namespace.unshare(.time) }
        guard let offsets else { return }
        let lines = plan.clockOffsets.map { "\($0.clock) \($0.seconds) \($0.nanoseconds)\n" }.joined()
        // In one write: the first process that is born into the namespace makes its offsets final.
        do throws(KernelError) { try offsets.writeAll(lines) } catch {
            throw .refused(.namespaces, "set", "linux.timeOffsets", "\(error.errno)", code: error.code)
        }
    }
}
