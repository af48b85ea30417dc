/// Binary documents that say what they are, how long they are, and what their bytes give: a mark of 8 bytes, the content's length (4 bytes, the
/// most significant one first), its fingerprint (8 bytes), the content.
///
/// It finds torn and damaged files; it protects from nobody.
package enum CheckedFrame {
    /// The mark of `<bundle>/state`.
    package static let shimState = Array("BRTHSTAT".utf8)
    private static let lengthBytes = 4
    private static let checkBytes = 8

    /// A content with what makes it a document.
    ///
    /// - Parameters:
    ///   - content: less than 4 GiB.
    ///   - mark: what kind of document it is.
    /// - Returns: the longer bytes.
    package static func frame(_ content: [UInt8], mark: [UInt8]) -> [UInt8] {
        var bytes = mark
        bytes.reserveCapacity(mark.count + lengthBytes + checkBytes + content.count)
        append(UInt64(content.count), lengthBytes, to: &bytes)
        append(CheckedObject.fingerprint(content), checkBytes, to: &bytes)
        return bytes + content
    }

    /// The content of a document.
    ///
    /// - Parameters:
    ///   - bytes: what `frame` gave.
    ///   - mark: what kind of document it is to be.
    /// - Returns: the content, or what is wrong with the document.
    package static func content(_ bytes: [UInt8], mark: [UInt8]) -> (content: ArraySlice<UInt8>, problem: String?) {
        let head = mark.count + lengthBytes + checkBytes
        guard bytes.starts(with: mark) else {
            return ([], "\(bytes.count) bytes do not begin like a document of its kind")
        }
        guard bytes.count >= head, number(bytes[mark.count..<mark.count + lengthBytes]) == UInt64(bytes.count - head)
        else {
            return ([], "\(bytes.count) bytes are not of the length that their head says")
        }
        let content = bytes[head...]
        guard CheckedObject.fingerprint(content) == number(bytes[(head - checkBytes)..<head]) else {
            return ([], "the fingerprint is not that of the content")
        }
        return (content, nil)
    }

    private static func append(_ value: UInt64, _ count: Int, to bytes: inout [UInt8]) {
        for index in (0..<count).reversed() { bytes.append(UInt8(truncatingIfNeeded: value >> (8 * UInt64(index)))) }
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
}
