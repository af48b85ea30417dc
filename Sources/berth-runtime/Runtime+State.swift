import Kernel
import OCISpec

extension Runtime {
    func state(_ arguments: Arguments) throws(RuntimeError) -> Int32 {
        let directory = try store.open(id(arguments))
        return try print(describe(directory, directory.read()).text(indented: true) + "\n")
    }

    func list(_ arguments: Arguments) throws(RuntimeError) -> Int32 {
        guard arguments.operands.isEmpty else { throw .usage("list takes no operands") }
        var found: [(record: ContainerRecord, status: ContainerStatus, json: JSONValue)] = []
        for id in try store.ids() {
            do throws(RuntimeError) {
                let directory = try store.open(id)
                let record = try directory.read()
                found.append((record, try status(directory, record), try describe(directory, record)))
            } catch  where error.code == .notFound {
                // Deleted meanwhile.
            } catch {
                log.warning("\(error)")
            }
        }
        if arguments.has("quiet") { return try print(found.map { $0.record.id + "\n" }.joined()) }
        switch arguments.last("format") ?? "table" {
        case "json": return try print(JSONValue.array(found.map(\.json)).text() + "\n")
        case "table":
            let rows = found.map { entry in
                let pid = entry.status == .stopped ? 0 : entry.record.pid
                return [
                    entry.record.id, String(pid), entry.status.rawValue, entry.record.bundle, entry.record.created,
                    entry.record.owner,
                ]
            }
            return try print(Self.table([["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]] + rows))
        case let other: throw .usage("--format: '\(other)' is neither table nor json")
        }
    }

    private func describe(
        _ directory: ContainerDirectory,
        _ record: ContainerRecord
    ) throws(RuntimeError) -> JSONValue {
        let status = try status(directory, record)
        return .object([
            ("ociVersion", .string(record.ociVersion)), ("id", .string(record.id)),
            ("pid", .number(status == .stopped ? 0 : record.pid)), ("status", .string(status.rawValue)),
            ("bundle", .string(record.bundle)), ("rootfs", .string(record.rootfs)),
            ("created", .string(record.created)), ("owner", .string(record.owner)),
            ("annotations", .strings(record.annotations)),
        ])
    }

    private static func table(_ rows: [[String]]) -> String {
        let widths = rows.reduce([]) { widths, row in
            row.enumerated().map { max($1.count, widths.isEmpty ? 0 : widths[$0]) }
        }
        return rows.map { row in
            let cells = row.enumerated().map { index, cell in
                index == row.count - 1 ? cell : cell + String(repeating: " ", count: widths[index] + 3 - cell.count)
            }
            return cells.joined() + "\n"
        }.joined()
    }
}
