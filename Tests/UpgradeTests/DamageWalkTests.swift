import ContentStore
import DocumentTexts
import Foundation
import OCISpec
import Seccomp
import Synchronization
import SystemFixture
import Testing

extension UpgradeTests {
    /// Every byte of every file that Berth wrote counts: what reads the file sees that it is another one, or cut off.
    ///
    /// ``DamageTests`` shows what follows from it, for so many places of each.
    @Suite struct DamageWalkTests {
        @Test func everyByteOfEveryFileCounts() throws {
            try Daemon.with { (daemon) throws in
                // In memory, for one file is written again for each of its bytes.
                let scratch = URL(fileURLWithPath: "/dev/shm/\(daemon.scratch.lastPathComponent)")
                defer { try? FileManager.default.removeItem(at: scratch) }
                let state = try DamagedState(daemon, running: 2)
                try daemon.stop()
                let files = try state.files()
                var walked: [String: Int] = [:]
                for file in files.own + files.shared {
                    let kind = DamagePlan.kind(file)
                    guard let content = files.contents[file], !content.isEmpty, walked[kind] == nil else { continue }
                    guard Unread.kinds[kind] == nil, Self.known[kind] == nil else { continue }
                    // A layer's blob is of the same form as the documents of its image.
                    if kind == "sha256/*", content.count > 65536 { continue }
                    let form = Form(kind, file, files, scratch)
                    guard let form else {
                        Issue.record("nothing tells of a change of \(kind)")
                        continue
                    }
                    walked[kind] = content.count
                    Self.walk(form, Array(content), kind)
                }
                print(
                    "every byte of",
                    walked.sorted { $0.key < $1.key }.map { "\($0.key) (\($0.value))" }.joined(separator: ", ")
                )
                #expect(walked.count >= 14, "\(walked)")
                try daemon.start()
            }
        }

        /// Files of which something else says each byte: whatever differs is noticed.
        private static let known = [
            "run": "the state and the database have the name of the run",
            "token": "the shim and its manager have it in memory",
            "address": "it follows from the place of the bundle", "content/oci-layout": "there is one version of it",
        ]

        private static func walk(_ form: Form, _ content: [UInt8], _ kind: String) {
            let isFalseAlarm = form.isNoticed(content)
            #expect(!isFalseAlarm, "\(kind) is whole")
            var unnoticed: [String] = []
            var changed = content
            for place in content.indices {
                let bits: UInt8 = [0x01, 0x80, 0xFF, 0x20][place % 4]
                changed[place] ^= bits
                if !form.isNoticed(changed) { unnoticed.append("byte \(place) ^ \(bits)") }
                changed[place] ^= bits
                if !form.mayEnd(at: place, content), !form.isNoticed(Array(content.prefix(place))) {
                    unnoticed.append("cut to \(place)")
                }
            }
            #expect(unnoticed.isEmpty, "\(kind): \(unnoticed.count) of \(content.count), as \(unnoticed.prefix(5))")
        }
    }
}

/// By what a change of a file is seen, for each of the forms that its readers know.
private enum Form {
    /// A JSON object with a check value in it.
    case object
    /// Such an object in each line.
    case lines
    /// The state of a shim.
    case frame
    /// A compiled filter.
    case filter
    /// Such a one with the profile that it is made of; it is looked at in a directory.
    case cached(SeccompCache, URL, Damages)
    /// The SHA-256 of its bytes is its name.
    case blob(name: String)
    /// Its fingerprint stands in another file.
    case listed(in: Data)

    /// What was told.
    final class Damages: Sendable {
        let count = Mutex(0)
    }

    init?(_ kind: String, _ file: URL, _ files: DamagedState.Files, _ scratch: URL) {
        switch kind {
        case "container.json", "exit", "profiles/p.json", "profiles/p.promoted.json", "layer.json", "layer.copy.json",
            "content/index.json.check", "shim.pid", "config.json", "execs/*":
            self = .object
        case "journal": self = .lines
        case "state": self = .frame
        case "seccomp.bpf": self = .filter
        case "seccomp/*":
            let folder = scratch.appendingPathComponent("cache")
            try? FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            let damages = Damages()
            let cache = SeccompCache(directory: folder.path) { _, _ in damages.count.withLock { $0 += 1 } }
            self = .cached(cache, folder.appendingPathComponent(file.lastPathComponent), damages)
        case "sha256/*": self = .blob(name: file.lastPathComponent)
        case "content/index.json":
            let check = files.shared.first { $0.lastPathComponent == "index.json.check" }
            guard let check, let values = files.contents[check] else { return nil }
            self = .listed(in: values)
        default: return nil
        }
    }

    /// Whether what the product's own readers ask first says that this is not what was written.
    func isNoticed(_ bytes: [UInt8]) -> Bool {
        switch self {
        case .object:
            // A cut one is no object; its readers say so.
            return !CheckedObject.isSound(bytes)
                || (try? JSONSerialization.jsonObject(with: Data(bytes))) == nil
        case .lines: return bytes.isEmpty || CheckedObject.damage(ofLines: bytes) != nil
        case .frame: return CheckedFrame.content(bytes, mark: CheckedFrame.shimState).problem != nil
        case .filter: return (try? SeccompProgram(encoded: bytes)) == nil
        case .cached(let cache, let file, let damages):
            // What cannot be written is not damaged, and fails the test.
            try? Data(bytes).write(to: file)
            damages.count.withLock { $0 = 0 }
            cache.examine()
            return damages.count.withLock { $0 } == 1
        case .blob(let name):
            guard var digester = Digester(.sha256) else { return false }
            digester.update(bytes[...])
            return !digester.finish().description.hasSuffix(name)
        case .listed(let values):
            let value = String(CheckedObject.fingerprint(bytes), radix: 16)
            return !String(decoding: values, as: UTF8.self).contains(value)
        }
    }

    /// Whether a file of this form may end at a place: a line less is a line that was never written, for who does not remember it.
    func mayEnd(at place: Int, _ content: [UInt8]) -> Bool {
        switch self {
        case .lines: place > 0 && content[place - 1] == 0x0a
        // The newline behind it.
        case .object: place == content.count - 1 && content[place] == 0x0a
        default: false
        }
    }
}
