/// What the command line asks for.
struct FuzzOptions {
    var seconds: Int64 = 5
    var seed: UInt64 = 1
    var target: String?
    var from: UInt64 = 0
    /// Number of inputs; nil goes by time.
    var count: UInt64?
    var isWorker = false

    init(_ arguments: ArraySlice<String>) {
        var rest = arguments
        while let word = rest.popFirst() {
            switch word {
            case "--seconds": seconds = rest.popFirst().flatMap { Int64($0) } ?? seconds
            case "--seed": seed = rest.popFirst().flatMap { UInt64($0) } ?? seed
            case "--target": target = rest.popFirst()
            case "--from": from = rest.popFirst().flatMap { UInt64($0) } ?? from
            case "--count": count = rest.popFirst().flatMap { UInt64($0) }
            case "--worker": isWorker = true
            default: break
            }
        }
    }
}

/// SplitMix64, begun anew for every input.
struct Generator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64, number: UInt64) {
        state = seed &* 0xd134_2543_de82_ef95 ^ number &* 0x2545_f491_4f6c_dd1d
        _ = next()
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
        return z ^ z >> 31
    }

    mutating func below(_ bound: Int) -> Int { bound <= 0 ? 0 : Int(next() % UInt64(bound)) }
}
