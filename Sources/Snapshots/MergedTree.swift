internal import Kernel

/// One of the layers below.
final class LowerLayer {
    let directory: RootedDir

    init(_ directory: consuming RootedDir) { self.directory = directory }
}

/// What a container would see while a layer is being unpacked: the layer on top of those below.
///
/// Used where a layer does not say itself what its parents are: a missing directory gets the attributes that it has below,
/// and a link below is followed, always inside the layer.
struct MergedTree: ~Copyable {
    private enum Below {
        case directory(LowerLayer, [UInt8])
        case link([UInt8])
        case nothing
    }

    private static let mostLinks = 40

    let target: RootedDir
    let lowers: [LowerLayer]
    let depth: Int

    init(target: consuming RootedDir, lowers: [LowerLayer], depth: Int) {
        self.target = target
        self.lowers = lowers
        self.depth = depth
    }

    static func isWhiteout(_ status: FileStatus) -> Bool {
        status.kind == .characterDevice && status.representedDevice == DeviceNumber(major: 0, minor: 0)
    }

    /// Makes a directory in the target with all parents that it lacks.
    func makeDirectories(_ components: [[UInt8]]) throws(KernelError) -> RootedDir {
        try target.subdirectory(MergedTree.join(try resolve(components)))
    }

    /// The path without symbolic links of a name whose parent exists in the target.
    func path(_ path: [UInt8]) throws(KernelError) -> [UInt8] {
        var components = path.split(separator: UInt8(ascii: "/")).map { Array($0) }
        guard let name = components.popLast() else { return path }
        return MergedTree.join(try resolve(components) + [name])
    }

    /// Walks down in the merged view, making what the target lacks; gives the path without links.
    private func resolve(_ components: [[UInt8]]) throws(KernelError) -> [[UInt8]] {
        var resolved: [[UInt8]] = []
        var rest = components[...]
        var links = 0
        func follow(_ link: [UInt8]) throws(KernelError) {
            links += 1
            guard links <= MergedTree.mostLinks else { throw .failed("resolve", .tooManyLinks) }
            if link.first == UInt8(ascii: "/") { resolved = [] }
            rest = (link.split(separator: UInt8(ascii: "/")).map { Array($0) } + rest)[...]
            guard rest.count + resolved.count <= depth + 64 else { throw .failed("resolve", .nameTooLong) }
        }
        while let component = rest.popFirst() {
            if component == Array(".".utf8) { continue }
            if component == Array("..".utf8) {
                _ = resolved.popLast()
                continue
            }
            let path = MergedTree.join(resolved + [component])
            if let link = try step(path) { try follow(link) } else { resolved.append(component) }
        }
        return resolved
    }

    /// Makes sure that a name in the target is a directory.
    ///
    /// - Returns: The text of a link that has to be followed instead, or nil.
    private func step(_ path: [UInt8]) throws(KernelError) -> [UInt8]? {
        let status: FileStatus
        do throws(KernelError) { status = try target.stat(path) } catch  where error.errno == .noEntry {
            return try copyUp(path)
        }
        if status.isDirectory { return nil }
        if status.kind == .symbolicLink { return try target.readlink(path) }
        guard MergedTree.isWhiteout(status) else {
            throw .failed("resolve", String(decoding: path, as: UTF8.self), .notDirectory)
        }
        try target.unlink(path)
        try make(path)
        _ = try OpaqueMark.set(on: target.openPath(path))
        return nil
    }

    private func copyUp(_ path: [UInt8]) throws(KernelError) -> [UInt8]? {
        switch try below(path) {
        case .link(let text): return text
        case .nothing: try make(path)
        case .directory(let layer, let place):
            try make(path)
            let source = try layer.directory.openPath(place)
            let copy = try target.openPath(path)
            let status = try source.status()
            try copy.changeOwner(uid: status.uid, gid: status.gid)
            try copy.changeMode(status.permissions)
            for name in try source.extendedAttributeNames() where LayerUnpacker.isAllowed(attribute: name) {
                if let value = try source.extendedAttribute(name) { try copy.setExtendedAttribute(name, value) }
            }
            try copy.changeTimes(accessed: .keep, modified: .set(status.modified))
        }
        return nil
    }

    private func make(_ path: [UInt8]) throws(KernelError) {
        try target.mkdir(path, mode: 0o755)
        try target.openPath(path).changeMode(0o755)
    }

    /// What the layers below show at a path whose parents are directories in the merged view.
    private func below(_ path: [UInt8]) throws(KernelError) -> Below {
        // An opaque parent in the target hides the layers below.
        if try walk(target, path).hides { return .nothing }
        for layer in lowers {
            let found = try walk(layer.directory, path)
            guard let status = found.status else {
                if found.hides { return .nothing }
                continue
            }
            if status.isDirectory { return .directory(layer, path) }
            if status.kind == .symbolicLink { return .link(try layer.directory.readlink(path)) }
            return .nothing
        }
        return .nothing
    }

    /// Looks a path up in one layer without following anything.
    ///
    /// - Returns: What is there, and whether the layers further down cannot show through.
    private func walk(
        _ layer: borrowing RootedDir,
        _ path: [UInt8]
    ) throws(KernelError) -> (status: FileStatus?, hides: Bool) {
        var prefix: [UInt8] = []
        var hides = false
        let components = path.split(separator: UInt8(ascii: "/"))
        for (index, component) in components.enumerated() {
            prefix += (prefix.isEmpty ? [] : [UInt8(ascii: "/")]) + component
            let name: Descriptor
            do throws(KernelError) { name = try layer.openPath(prefix) } catch  where error.errno == .noEntry {
                return (nil, hides)
            }
            let status = try name.status()
            if index == components.count - 1 { return (status, true) }
            guard status.isDirectory else { return (nil, true) }
            if try OpaqueMark.isSet(on: name) { hides = true }
        }
        return (nil, hides)
    }

    private static func join(_ components: [[UInt8]]) -> [UInt8] {
        components.isEmpty ? Array(".".utf8) : Array(components.joined(separator: [UInt8(ascii: "/")]))
    }
}
