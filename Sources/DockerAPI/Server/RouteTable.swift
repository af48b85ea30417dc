package import HTTPTypes

/// What a route does with the request's body.
package enum BodyRule: Sendable, Equatable {
    /// A body is ignored.
    case none
    /// A JSON document of at most 4 MiB, read before the handler runs.
    case json
    /// The handler reads the body as it comes and bounds it itself.
    case stream
}

/// The handlers by exact method and path.
///
/// A template is a path whose segments are literal, `{name}` (one segment), or `{name...}` (one or more segments, for image
/// references). Segments are compared after one round of percent-decoding; nothing else is folded or cleaned, so a path that does
/// not match letter for letter is not found.
package struct RouteTable<Handler: Sendable>: Sendable {
    /// A handler with what it needs to know about its request.
    package struct Route: Sendable {
        /// Method.
        package let method: HTTPRequest.Method
        /// Path template.
        package let template: String
        /// Treatment of the body.
        package let body: BodyRule
        /// Whether the handler may take the connection away from HTTP.
        package let hijacks: Bool
        /// The handler.
        package let handler: Handler
        fileprivate let segments: [Segment]
    }

    fileprivate enum Segment: Sendable, Equatable {
        case literal(String)
        case one(String)
        case many(String)
    }

    private struct Key: Hashable {
        let method: String
        let first: String
    }

    private var routes: [Key: [Route]] = [:]

    /// An empty table.
    package init() {}

    /// All routes, in no particular order.
    package var all: [Route] {
        routes.values.flatMap(\.self)
    }

    /// Adds a handler; the first segment of a template is literal.
    ///
    /// Of two templates that match, the one added first wins.
    package mutating func add(
        _ method: HTTPRequest.Method,
        _ template: String,
        body: BodyRule = .none,
        hijacks: Bool = false,
        _ handler: Handler
    ) {
        let segments = template.split(separator: "/").map { part -> Segment in
            guard part.hasPrefix("{"), part.hasSuffix("}") else { return .literal(String(part)) }
            let name = part.dropFirst().dropLast()
            return name.hasSuffix("...") ? .many(String(name.dropLast(3))) : .one(String(name))
        }
        guard case .literal(let first)? = segments.first else {
            preconditionFailure("the first segment of a route is literal: \(template)")
        }
        let route = Route(
            method: method,
            template: template,
            body: body,
            hijacks: hijacks,
            handler: handler,
            segments: segments
        )
        routes[Key(method: method.rawValue, first: first), default: []].append(route)
    }

    /// The route for a method and a path without version and query, with the values of its parameters.
    package func match(_ method: HTTPRequest.Method, _ path: String) -> (Route, [String: String])? {
        guard let segments = Self.split(path), let first = segments.first else { return nil }
        for route in routes[Key(method: method.rawValue, first: first)] ?? [] {
            if let values = Self.match(route.segments[...], segments[...]) { return (route, values) }
        }
        return nil
    }

    /// The decoded segments; nil when the path has no leading slash, an empty segment, or a bad escape.
    private static func split(_ path: String) -> [String]? {
        guard path.hasPrefix("/") else { return nil }
        var segments: [String] = []
        for part in path.dropFirst().split(separator: "/", omittingEmptySubsequences: false) {
            guard !part.isEmpty, let decoded = PercentCoding.decode(part) else { return nil }
            segments.append(decoded)
        }
        return segments
    }

    private static func match(_ template: ArraySlice<Segment>, _ path: ArraySlice<String>) -> [String: String]? {
        guard let head = template.first else { return path.isEmpty ? [:] : nil }
        guard let value = path.first else { return nil }
        switch head {
        case .literal(let text):
            guard text == value else { return nil }
            return match(template.dropFirst(), path.dropFirst())
        case .one(let name):
            guard var rest = match(template.dropFirst(), path.dropFirst()) else { return nil }
            rest[name] = value
            return rest
        case .many(let name):
            // What follows a `{name...}` is literal, so the longest run is the one that leaves exactly that.
            let count = path.count - (template.count - 1)
            guard count >= 1, var rest = match(template.dropFirst(), path.dropFirst(count)) else { return nil }
            rest[name] = path.prefix(count).joined(separator: "/")
            return rest
        }
    }
}
