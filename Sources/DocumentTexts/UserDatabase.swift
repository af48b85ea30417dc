internal import Kernel

/// A user as a container's process needs it.
package struct ResolvedUser: Sendable, Equatable {
    /// User id.
    package var uid: UInt32
    /// Primary group id.
    package var gid: UInt32
    /// Supplementary groups beside the primary one.
    package var groups: [UInt32] = []
    /// Home directory, nil when no entry has the user's id.
    package var home: String?

    /// Makes a user of its parts.
    package init(uid: UInt32, gid: UInt32, groups: [UInt32] = [], home: String? = nil) {
        self.uid = uid
        self.gid = gid
        self.groups = groups
        self.home = home
    }
}

/// Looks up users and groups in the text of an image's `/etc/passwd` and `/etc/group`.
///
/// The files are hostile: they are read with a limit and parsed here, by nobody else's code. What consists of digits is a
/// number and nothing else; a number that does not fit is an error and never a name, so that no entry of the image can
/// stand for it.
package struct UserDatabase: Sendable {
    /// Most bytes that are read of either file.
    package static let fileLimit = 1 << 20

    private let passwd: [UInt8]
    private let group: [UInt8]

    /// Takes the texts; an absent file is empty.
    package init(passwd: [UInt8], group: [UInt8]) {
        self.passwd = passwd
        self.group = group
    }

    /// Resolves a `User` text.
    ///
    /// Forms: empty (root), `user`, `uid`, `user:group`, `uid:gid`, `uid:group`, `user:gid`. Without a group the primary
    /// group and the supplementary groups come from the files; with one it is the only group.
    ///
    /// - Returns: The ids.
    /// - Throws: `invalidArgument` for what is malformed or out of range, `notFound` for a name without an entry.
    package func resolve(_ text: String) throws(TextError) -> ResolvedUser {
        let parts = text.utf8.split(separator: 0x3a, maxSplits: 1, omittingEmptySubsequences: false).map(Array.init)
        let userPart = parts.first ?? []
        let groupPart = parts.count > 1 ? parts[1] : nil
        guard !(userPart.isEmpty && groupPart != nil), groupPart?.isEmpty != true else {
            throw malformed(text)
        }
        var user = try resolveUser(userPart, text)
        if let groupPart {
            user.gid = try resolveGroup(groupPart, text)
            user.groups = []
        }
        return user
    }

    /// Home directory of the first entry with this id.
    package func home(of uid: UInt32) -> String? {
        for entry in lines(passwd, fields: 7) where number(entry[2]) == uid { return absolutePath(entry[5]) }
        return nil
    }

    private func resolveUser(_ part: [UInt8], _ text: String) throws(TextError) -> ResolvedUser {
        if part.isEmpty { return resolveID(0) }
        if Self.looksNumeric(part) {
            guard let uid = number(part[...]) else { throw outOfRange(text) }
            return resolveID(uid)
        }
        guard Self.isName(part) else { throw malformed(text) }
        for entry in lines(passwd, fields: 7) where entry[0].elementsEqual(part) {
            guard let uid = number(entry[2]), let gid = number(entry[3]) else { continue }
            return ResolvedUser(
                uid: uid,
                gid: gid,
                groups: groups(of: part[...], primary: gid),
                home: absolutePath(entry[5])
            )
        }
        throw .refused(
            "resolve user",
            String(decoding: part, as: UTF8.self),
            "unable to find user \(String(decoding: part, as: UTF8.self)): no matching entries in passwd file",
            code: .notFound
        )
    }

    private func resolveID(_ uid: UInt32) -> ResolvedUser {
        for entry in lines(passwd, fields: 7) where number(entry[2]) == uid {
            guard let gid = number(entry[3]) else { continue }
            return ResolvedUser(
                uid: uid,
                gid: gid,
                groups: groups(of: entry[0], primary: gid),
                home: absolutePath(entry[5])
            )
        }
        return ResolvedUser(uid: uid, gid: 0)
    }

    private func resolveGroup(_ part: [UInt8], _ text: String) throws(TextError) -> UInt32 {
        if Self.looksNumeric(part) {
            guard let gid = number(part[...]) else { throw outOfRange(text) }
            return gid
        }
        guard Self.isName(part) else { throw malformed(text) }
        for entry in lines(group, fields: 4) where entry[0].elementsEqual(part) {
            if let gid = number(entry[2]) { return gid }
        }
        let name = String(decoding: part, as: UTF8.self)
        throw .refused(
            "resolve group",
            name,
            "unable to find group \(name): no matching entries in group file",
            code: .notFound
        )
    }

    /// Groups that list the user as a member.
    ///
    /// The kernel takes 65536; more than 1000 are no image's intention.
    private func groups(of user: ArraySlice<UInt8>, primary: UInt32) -> [UInt32] {
        var found: [UInt32] = []
        for entry in lines(group, fields: 4) where found.count < 1000 {
            let members = entry[3].split(separator: 0x2c)
            guard members.contains(where: { $0.elementsEqual(user) }), let gid = number(entry[2]) else { continue }
            if gid != primary, !found.contains(gid) { found.append(gid) }
        }
        return found
    }

    private func lines(_ text: [UInt8], fields: Int) -> some Sequence<[ArraySlice<UInt8>]> {
        text.lazy.split(separator: 0x0a).compactMap { line in
            guard line.count <= 4096, line.first != 0x23 else { return nil }
            let entry = line.split(separator: 0x3a, omittingEmptySubsequences: false)
            return entry.count >= fields && !entry[0].isEmpty ? entry : nil
        }
    }

    private func absolutePath(_ bytes: ArraySlice<UInt8>) -> String? {
        guard bytes.first == 0x2f, !bytes.contains(0) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// A number of one to ten digits up to 2^32 - 2; 2^32 - 1 means "no change" to the kernel.
    private func number(_ digits: ArraySlice<UInt8>) -> UInt32? {
        guard (1...10).contains(digits.count), digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        let value = digits.reduce(UInt64(0)) { $0 * 10 + UInt64($1 - 0x30) }
        return value < UInt64(UInt32.max) ? UInt32(value) : nil
    }

    /// Whether a text could be meant as a number: digits, also with a sign or spaces around.
    ///
    /// Such a text is never a name.
    private static func looksNumeric(_ part: [UInt8]) -> Bool {
        let core = part.drop { $0 == 0x2d || $0 == 0x2b || $0 == 0x20 }
        guard let first = core.first else { return false }
        return (0x30...0x39).contains(first)
            && core.allSatisfy { (0x30...0x39).contains($0) || $0 == 0x20 || $0 == 0x78 }
    }

    private static func isName(_ part: [UInt8]) -> Bool {
        part.count <= 256 && part.allSatisfy { $0 > 0x20 && $0 != 0x7f && $0 != 0x3a && $0 != 0x2c }
    }

    private func malformed(_ text: String) -> TextError {
        .refused("resolve user", text, "malformed user", code: .invalidArgument)
    }

    private func outOfRange(_ text: String) -> TextError {
        .refused("resolve user", text, "id out of range: 0 to 4294967294", code: .invalidArgument)
    }
}
