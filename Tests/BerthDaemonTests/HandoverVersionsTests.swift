import BerthDaemon
import Testing

/// What one manager leaves to another of a different version.
@Suite struct HandoverVersionsTests {
    private func bytes(_ version: Int?, readsFrom: Int) -> [UInt8] {
        let number = version.map { "\"version\":\($0)," } ?? ""
        return Array("{\(number)\"readsFrom\":\(readsFrom),\"from\":\"9.8.7\",\"later\":[1]}".utf8)
    }

    private func error(_ versions: HandoverVersions, _ version: Int?, readsFrom: Int) -> String? {
        do {
            try versions.check(bytes(version, readsFrom: readsFrom))
            return nil
        } catch {
            return (error as? DaemonError)?.description ?? "another error: \(error)"
        }
    }

    @Test func olderDocumentsAreReadAndOnesBelowTheOldestAreRefusedByName() throws {
        let reader = HandoverVersions(newest: 5, oldest: 3)
        for version in 3...5 { #expect(error(reader, version, readsFrom: version) == nil) }
        for version in [1, 2] {
            let refusal = try #require(error(reader, version, readsFrom: version))
            #expect(
                refusal.contains("9.8.7") && refusal.contains("version \(version)") && refusal.contains("3"),
                "\(refusal)"
            )
        }
        // One without a number is the first.
        #expect(error(reader, nil, readsFrom: 1)?.contains("version 1") == true)
        #expect(error(HandoverVersions(newest: 5, oldest: 1), nil, readsFrom: 1) == nil)
    }

    @Test func newerDocumentsAreReadAsFarAsTheirWriterAllows() {
        let reader = HandoverVersions(newest: 1, oldest: 1)
        #expect(error(reader, 3, readsFrom: 1) == nil)
        #expect(error(reader, 3, readsFrom: 2)?.contains("version 2") == true)
    }

    /// Two back and two ahead: what is written now is read by the two versions before, and theirs by this one.
    @Test func whatThisProgramReadsReachesTwoVersionsBack() {
        let present = HandoverVersions.present
        #expect(present.oldest <= max(1, present.newest - 2))
        #expect(error(present, present.newest, readsFrom: max(1, present.newest - 2)) == nil)
        #expect(error(present, nil, readsFrom: 1) == nil || present.oldest > 1)
    }
}
