/// Check values of texts in the database: a text in which a byte has changed may still be read as well as the one that was written.
///
/// Each is bound to the row that it stands in. They find damage, and protect from nobody. A row without one was written by a program before
/// there were any, and is believed until this one has given it its values.
enum RowCheck {
    /// 64-bit FNV-1a over the texts, with a byte between that no text contains: any single changed byte gives another value.
    static func value(_ texts: String...) -> Int64 {
        var value: UInt64 = 0xcbf2_9ce4_8422_2325
        for text in texts {
            for byte in text.utf8 { value = (value ^ UInt64(byte)) &* 0x100_0000_01b3 }
            value = (value ^ 0xff) &* 0x100_0000_01b3
        }
        return Int64(bitPattern: value)
    }

    /// Whether a text is another one with a byte or two changed.
    static func isNearly(_ text: String?, _ other: String?) -> Bool {
        guard let text, let other else { return text == other }
        return text.utf8.count == other.utf8.count && zip(text.utf8, other.utf8).count { $0 != $1 } <= 2
    }
}
