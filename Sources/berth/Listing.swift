import Client

/// Things in a list: a table for people, JSON lines or a template for programs.
struct Listing {
    /// One thing: its fields by name, all as text, in the order of JSON output.
    struct Row {
        var fields: [(name: String, value: String)]
        /// How the table colours a field.
        var colours: [String: Colour] = [:]

        subscript(name: String) -> String {
            fields.first { $0.name == name }?.value ?? ""
        }
    }

    /// Terminal colours by what they mean here.
    enum Colour: String {
        case good = "32"
        case bad = "31"
        case odd = "33"
        case faint = "2"
    }

    /// The columns of the table: field and heading.
    let columns: [(field: String, title: String)]
    var rows: [Row] = []

    /// Prints everything in the format that the user asked for; nil is a table.
    func print(format: String?) throws {
        switch format {
        case nil, "table"?: printTable(columns.map(\.title), rows.map { row in columns.map { row[$0.field] } })
        case "json"?: for row in rows { Output.line(row.json.text) }
        case let text?: try print(template: text)
        }
    }

    private func print(template text: String) throws {
        let isTable = text.hasPrefix("table ")
        let template = try Template(parsing: isTable ? String(text.dropFirst(6)) : text)
        let lines = try rows.map { row in try template.text(for: row.json) }
        guard isTable else { return lines.forEach(Output.line) }
        let titles = template.fields.map { field in columns.first { $0.field == field }?.title ?? field.uppercased() }
        printTable(titles, lines.map { $0.split(separator: "\t", omittingEmptySubsequences: false).map(String.init) })
    }

    private func printTable(_ titles: [String], _ cells: [[String]]) {
        let widths = titles.indices.map { column in
            ([titles] + cells).map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
        }
        func line(_ texts: [String], _ colour: (Int) -> String?) -> String {
            var out = ""
            for (index, text) in texts.enumerated() {
                let padding = index == texts.count - 1 || index >= widths.count ? 0 : widths[index] - text.count + 3
                let shown = colour(index).map { "\u{1b}[\($0)m\(text)\u{1b}[0m" } ?? text
                out += shown + String(repeating: " ", count: padding)
            }
            return out
        }
        Output.line(line(titles) { _ in Output.hasColour ? "1" : nil })
        for (place, texts) in cells.enumerated() {
            let colours = place < rows.count ? rows[place].colours : [:]
            Output.line(
                line(texts) { index in
                    guard Output.hasColour, index < columns.count else { return nil }
                    return colours[columns[index].field]?.rawValue
                }
            )
        }
    }
}

extension Listing.Row {
    /// The fields as an object.
    var json: JSONValue {
        .object(Dictionary(fields.map { ($0.name, JSONValue.string($0.value)) }) { first, _ in first })
    }
}

extension Template {
    /// A template whose mistakes are the user's.
    init(parsing text: String) throws {
        do {
            try self.init(text)
        } catch {
            throw berth.Failure(error.description)
        }
    }

    /// The text for one document.
    func text(for document: JSONValue) throws -> String {
        do {
            return try render(document)
        } catch {
            throw berth.Failure(error.description)
        }
    }
}

/// Prints documents of the daemon: laid out, on one line, or through a template.
enum Document {
    static func print(_ bytes: [UInt8], format: String?) throws {
        switch format {
        case nil: Output.line(JSONLayout.indented(bytes))
        case "json"?: Output.line(String(decoding: bytes, as: UTF8.self).trimmed)
        case let text?: Output.line(try Template(parsing: text).text(for: try JSONValue(parsing: bytes)))
        }
    }
}
