package import Kernel

/// Files that cannot be read as what they are: they are kept, under a name that nothing reads.
package enum DamagedFile {
    /// The first free name beside a file: with `.bad` behind it, or `.bad.2` and so on.
    package static func place(_ path: String) -> String {
        var place = "\(path).bad"
        var number = 1
        while File.exists(place) {
            number += 1
            place = "\(path).bad.\(number)"
        }
        return place
    }

    /// Gives a file such a name.
    ///
    /// - Returns: Where it is now.
    @discardableResult
    package static func moveAside(_ path: String) throws(KernelError) -> String {
        let place = place(path)
        try File.rename(path, to: place)
        return place
    }

    /// Whether a name is that of a file that was set aside.
    package static func isSetAside(_ name: String) -> Bool {
        guard let end = name.range(ofText: ".bad") else { return false }
        let rest = name[end...]
        return rest.isEmpty || rest.first == "." && rest.dropFirst().allSatisfy(\.isNumber)
    }
}

extension String {
    /// Behind the last place of a text; without Foundation.
    fileprivate func range(ofText text: String) -> String.Index? {
        indices.reversed().first { self[$0...].hasPrefix(text) }.map { index($0, offsetBy: text.count) }
    }
}
