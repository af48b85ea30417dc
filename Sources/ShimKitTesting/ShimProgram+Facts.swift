internal import Kernel
internal import ShimProtocol
internal import SwiftProtobuf

/// What a shim program says of itself.
public struct ProgramFacts: Sendable, Equatable {
    /// Its version; empty when it does not say.
    public var version = ""
    /// Words for what it can beyond the contract, of a program of ShimKit.
    public var words: Set<String> = []
}

extension ShimProgram {
    /// Whether the program is a shim at all: it starts in a bundle, says where it listens, and answers there.
    ///
    /// - Returns: what is wrong; nil when nothing is.
    public func trouble() -> String? {
        do {
            let bundle = try ConformanceBundle(ConformanceBundle.Process("true"), root: .inPlace)
            // Its end ends the shim too.
            _ = try ConformanceContainer(self, bundle)
            return nil
        } catch {
            return "\(error)"
        }
    }

    /// Asks the program with `-info` and, where that says no version, `-v`; one that answers neither has said nothing.
    public func facts() -> ProgramFacts {
        var facts = ProgramFacts()
        if let output = try? run(["-info"], bundle: "/"), output.status == .exited(0),
            let info = try? ContainerdRuntimeInfo(serializedBytes: output.bytes)
        {
            facts.version = info.version.version
            let text = info.annotations["io.berth.capabilities"] ?? ""
            facts.words = Set(text.split(separator: ",").map(String.init))
        }
        guard facts.version.isEmpty, let output = try? run(["-v"], bundle: "/"), output.status == .exited(0) else {
            return facts
        }
        let lines = String(decoding: output.bytes, as: UTF8.self).split(separator: "\n")
        let line = lines.first { $0.drop { $0 == " " }.hasPrefix("Version:") }
        facts.version = line.map { String($0.drop { $0 != ":" }.dropFirst().drop { $0 == " " }) } ?? ""
        return facts
    }
}
