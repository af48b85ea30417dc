internal import Kernel

/// What is written on the directory of a group, so that nobody takes, kills or removes one that is another's.
///
/// It is an extended attribute that only root of the host can set: nobody in a container can, whatever the group was given to.
enum CgroupMark: Equatable {
    /// Made for a container.
    case made(owner: String)
    /// There before, empty, and used for a container: its processes are the container's, the group is not.
    case used(owner: String)
    /// Made because it was missing above a container's group.
    case parent

    /// Whose the group is.
    var owner: String? {
        switch self {
        case .made(let owner), .used(let owner): owner
        case .parent: nil
        }
    }

    private static let attribute = "trusted.berth.container"
    /// More than any owner's name has.
    private static let limit = 4096

    private var text: String {
        switch self {
        case .made(let owner): "made \(owner)"
        case .used(let owner): "used \(owner)"
        case .parent: "parent"
        }
    }

    private init?(_ text: String) {
        let words = text.split(separator: " ", maxSplits: 1).map(String.init)
        switch (words.first, words.count) {
        case ("made", 2): self = .made(owner: words[1])
        case ("used", 2): self = .used(owner: words[1])
        case ("parent", 1): self = .parent
        default: return nil
        }
    }

    /// Reads the mark of a group; nil for one that is not ours.
    init?(of group: SharedDescriptor) throws(KernelError) {
        guard let bytes = try group.extendedAttribute(Self.attribute, limit: Self.limit) else { return nil }
        self.init(String(decoding: bytes, as: UTF8.self))
    }

    /// Writes it.
    func put(on group: SharedDescriptor) throws(KernelError) {
        try group.setExtendedAttribute(Self.attribute, Array(text.utf8))
    }

    /// Takes it away; none is fine.
    static func clear(_ group: SharedDescriptor) throws(KernelError) {
        do throws(KernelError) { try group.removeExtendedAttribute(attribute) } catch  where error.errno == .noData {}
    }
}

/// What is where a group is to be made.
enum CgroupPlace {
    /// Nothing.
    case free
    /// What is left of a group that was made for the same container.
    case leftOver
    /// A group without processes and groups in it, and what it is once a container uses it.
    case empty(CgroupMark)
}
