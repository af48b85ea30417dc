/// The most recent bytes of a process' output, kept for a client that attaches later.
public struct OutputRing {
    /// Bytes kept at most.
    ///
    /// Zero keeps nothing.
    public let capacity: Int
    private var storage: [UInt8] = []
    private var end = 0
    private var isFull = false

    /// A ring that allocates on the first byte and grows to its capacity.
    public init(capacity: Int) {
        self.capacity = max(0, capacity)
    }

    /// Bytes kept now.
    public var count: Int { isFull ? capacity : storage.count }

    /// Adds output and forgets what no longer fits.
    public mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard capacity > 0 else { return }
        // Sound: reads inside the caller's buffer, before this call returns.
        for index in max(0, bytes.count - capacity)..<bytes.count {
            let byte = unsafe bytes[index]
            if isFull {
                storage[end] = byte
                end = end + 1 == capacity ? 0 : end + 1
            } else {
                storage.append(byte)
                isFull = storage.count == capacity
            }
        }
    }

    /// What is kept, oldest byte first.
    public var contents: [UInt8] {
        isFull ? Array(storage[end...] + storage[..<end]) : storage
    }
}
