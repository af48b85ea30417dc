/// Bytes waiting to be written, first in, first out.
///
/// Storage exists only while something waits: an idle container's queues cost nothing.
public struct ByteQueue {
    private var storage: [UInt8] = []
    private var head = 0

    /// An empty queue without storage.
    public init() {}

    /// Bytes waiting.
    public var count: Int { storage.count - head }
    /// Whether nothing waits.
    public var isEmpty: Bool { head == storage.count }

    /// What waits, oldest byte first.
    public var contents: [UInt8] { Array(storage[head...]) }

    /// Adds bytes at the end.
    public mutating func append(_ bytes: some Sequence<UInt8>) {
        storage.append(contentsOf: bytes)
    }

    /// Adds the bytes of a frame's header at the end.
    public mutating func append(header: UInt64) {
        var header = header
        // Sound: the eight bytes of a local integer, read while it is alive.
        unsafe withUnsafeBytes(of: &header) { unsafe storage.append(contentsOf: $0) }
    }

    /// Lends the waiting bytes for a write, then drops what the write took.
    ///
    /// - Parameter body: gets the bytes and returns how many of them it took, from 0 to all of them.
    public mutating func withBytes(_ body: (UnsafeRawBufferPointer) -> Int) {
        // Sound: the buffer is the array's own storage and used inside the closure only.
        let taken = unsafe storage.withUnsafeBytes { unsafe body(UnsafeRawBufferPointer(rebasing: $0[head...])) }
        dropFirst(taken)
    }

    /// Drops bytes from the front.
    public mutating func dropFirst(_ count: Int) {
        head += count
        if head == storage.count {
            storage = []
            head = 0
        } else if head >= 32 << 10 {
            storage.removeFirst(head)
            head = 0
        }
    }

    /// Drops everything.
    public mutating func removeAll() {
        storage = []
        head = 0
    }
}
