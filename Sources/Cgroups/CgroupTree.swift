internal import Kernel

/// The host's cgroup hierarchies, found once.
public struct CgroupTree: Sendable {
    /// Where they are mounted on every host.
    public static let defaultRoot = "/sys/fs/cgroup"

    /// What shape of host this is.
    public enum Layout: String, Sendable {
        /// v1 hierarchies, with or without a v2 one beside them.
        case v1
        /// v2 alone.
        case v2
    }

    /// The shape.
    public let layout: Layout
    /// The controllers that are there, by the kernel's names.
    public var controllers: Set<String> { Set(hierarchies.flatMap(\.controllers)) }

    let hierarchies: [CgroupHierarchy]

    /// Finds the hierarchies.
    ///
    /// - Parameter root: where they are; another place only in tests.
    /// - Throws: `CgroupError`, `unsupported` when there are none.
    public init(root: String = defaultRoot) throws(CgroupError) {
        do throws(KernelError) {
            if File.exists("\(root)/cgroup.controllers") {
                layout = .v2
                let directory = SharedDescriptor(try File.open(root, [.path, .directory]))
                let text = try File.readText("cgroup.controllers", at: directory.raw)
                hierarchies = [
                    CgroupHierarchy(name: "unified", controllers: text.words, isUnified: true, directory: directory)
                ]
                return
            }
            layout = .v1
            hierarchies = try CgroupTree.scan(root)
        } catch {
            throw .failed("find cgroup hierarchies", error)
        }
        guard !hierarchies.isEmpty else {
            throw .precondition("find cgroup hierarchies", "nothing is mounted below '\(root)'")
        }
    }

    /// Every directory below the root is a hierarchy named after its controllers (`cpu,cpuacct`); links beside them are aliases.
    private static func scan(_ root: String) throws(KernelError) -> [CgroupHierarchy] {
        var found: [CgroupHierarchy] = []
        for entry in try File.open(root, .directory).readDirectory() where entry.kind == .directory {
            let directory = SharedDescriptor(try File.open("\(root)/\(entry.name)", [.path, .directory]))
            let isUnified = File.exists("cgroup.controllers", at: directory.raw)
            guard isUnified || File.exists("cgroup.procs", at: directory.raw) else { continue }
            let controllers =
                isUnified || entry.name == "systemd" ? [] : entry.name.split(separator: ",").map(String.init)
            let offered =
                isUnified ? try File.readText("cgroup.controllers", at: directory.raw).words : []
            found.append(
                CgroupHierarchy(
                    name: entry.name,
                    controllers: controllers,
                    offered: offered,
                    isUnified: isUnified,
                    directory: directory
                )
            )
        }
        return found.sorted { $0.name < $1.name }
    }

    /// Makes a group, with its missing parents.
    ///
    /// What is left without processes of a group of the same owner is replaced, so that no old limit or counter lives on. A group that
    /// somebody else has made is used when it is empty, and stays when this one is removed. Parents that are missing are made, and go
    /// with the last group below them.
    ///
    /// - Parameters:
    ///   - path: for example `/berth/web`; relative to each hierarchy's root, no `.` or `..`.
    ///   - owner: whom it is for; one name is one container's.
    /// - Returns: the new group.
    /// - Throws: `CgroupError`, `alreadyExists` when there is one with processes, or one of another owner; nothing is changed then.
    public func create(_ path: String, owner: String) throws(CgroupError) -> any Cgroup {
        let components = try CgroupTree.components(path)
        var places: [CgroupPlace] = []
        for hierarchy in hierarchies { places.append(try hierarchy.place(components, for: owner)) }
        var made: [CgroupMember] = []
        do throws(CgroupError) {
            for (hierarchy, place) in zip(hierarchies, places) {
                made.append(try hierarchy.create(components, for: owner, at: place))
            }
        } catch {
            // The first error is what matters; what was made is empty, so removing it cannot wait.
            for member in made { try? member.removeGroup() }
            throw error
        }
        return group(components, made, isNew: true)
    }

    /// Finds a group that exists, in as many hierarchies as it still does.
    ///
    /// - Parameters:
    ///   - path: as given to `create`.
    ///   - owner: whose it must be, for who knows a group by its path alone and is about to kill or remove; nil takes anybody's.
    /// - Returns: the group.
    /// - Throws: `CgroupError`, `notFound` when it exists nowhere.
    public func open(_ path: String, owner: String? = nil) throws(CgroupError) -> any Cgroup {
        let components = try CgroupTree.components(path)
        var members: [CgroupMember] = []
        var missing: KernelError?
        for hierarchy in hierarchies {
            do throws(KernelError) { members.append(try hierarchy.open(components, of: owner)) } catch {
                missing = error
            }
        }
        if members.isEmpty, let missing { throw .failed("open cgroup '\(path)'", missing) }
        return group(components, members, isNew: false)
    }

    /// Looks for a group in every hierarchy, whoever has made it.
    ///
    /// - Parameter path: as given to `create`.
    /// - Returns: whether it or a group below it has processes; nil when it exists nowhere.
    /// - Throws: `CgroupError`.
    public func hasProcesses(_ path: String) throws(CgroupError) -> Bool? {
        let components = try CgroupTree.components(path)
        var found: Bool?
        for hierarchy in hierarchies {
            do throws(KernelError) {
                found = try !hierarchy.open(components).allProcesses().isEmpty || found == true
            } catch  where error.errno == .noEntry {
                continue
            } catch {
                throw .failed("look for cgroup '\(path)' in \(hierarchy.name)", error)
            }
        }
        return found
    }

    /// Takes over a group that systemd has made, and makes it in the hierarchies that systemd does not use.
    func adopt(_ path: String, for owner: String) throws(CgroupError) -> (group: any Cgroup, members: [CgroupMember]) {
        let components = try CgroupTree.components(path)
        var members: [CgroupMember] = []
        for hierarchy in hierarchies {
            do throws(KernelError) {
                let member = try hierarchy.open(components)
                try CgroupMark.made(owner: owner).put(on: member.directory)
                members.append(member)
            } catch {
                guard layout == .v1, error.errno == .noEntry else { throw .failed("open cgroup '\(path)'", error) }
                // Its parents are slices, which are systemd's.
                members.append(try hierarchy.create(components, for: owner, at: .free, ownsParents: false))
            }
        }
        return (scope(components, members, isNew: true), members)
    }

    /// Finds a group that was taken over.
    ///
    /// - Throws: `CgroupError`, `notFound` when it exists nowhere.
    func readopt(_ path: String, of owner: String?) throws(CgroupError) -> (group: any Cgroup, members: [CgroupMember])
    {
        let components = try CgroupTree.components(path)
        var members: [CgroupMember] = []
        for hierarchy in hierarchies {
            do throws(KernelError) { members.append(try hierarchy.open(components, of: owner)) } catch {
                guard layout == .v1, error.errno == .noEntry else { throw .failed("open cgroup '\(path)'", error) }
            }
        }
        guard !members.isEmpty else { throw .failed("open cgroup '\(path)'", .failed("open", path, .noEntry)) }
        return (scope(components, members, isNew: false), members)
    }

    private func scope(_ components: [String], _ members: [CgroupMember], isNew: Bool) -> any Cgroup {
        let path = "/" + components.joined(separator: "/")
        return layout == .v2
            ? CgroupV2(path: path, member: members[0], isNew: isNew, sharesDevices: true)
            : CgroupV1(path: path, members: members, isNew: isNew)
    }

    private func group(_ components: [String], _ members: [CgroupMember], isNew: Bool) -> any Cgroup {
        let path = "/" + components.joined(separator: "/")
        return layout == .v2
            ? CgroupV2(path: path, member: members[0], isNew: isNew)
            : CgroupV1(path: path, members: members, isNew: isNew)
    }

    static func components(_ path: String) throws(CgroupError) -> [String] {
        let components = path.split(separator: "/").map(String.init)
        // The kernel takes no new lines, and names of up to 255 bytes.
        let isRight = components.allSatisfy { component in
            component != "." && component != ".." && component.utf8.count <= 255
                && component.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f }
        }
        guard !components.isEmpty, isRight else {
            let shown = String(path.prefix(300).map { $0.isNewline ? " " : $0 })
            throw .invalid(
                "cgroupsPath",
                "'\(shown)' is not a path below a hierarchy, of names without control characters"
            )
        }
        return components
    }
}
