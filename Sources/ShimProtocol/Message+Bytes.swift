import FoundationEssentials
public import SwiftProtobuf

extension Message {
    /// The message as it travels.
    ///
    /// Encoding fails only for required fields that are not set, which proto3 does not have, and for more than 2 GiB.
    public var bytes: [UInt8] {
        do {
            return try serializedBytes()
        } catch {
            preconditionFailure("proto3 message \(Self.protoMessageName) does not serialize: \(error)")
        }
    }
}

/// Type URLs whose value is JSON instead of protobuf.
public enum TypeURL {
    /// An OCI runtime-spec document.
    public static let spec = "types.containerd.io/opencontainers/runtime-spec/1/Spec"
    /// The `process` object of an OCI runtime-spec document; what Task.Exec carries.
    public static let process = "types.containerd.io/opencontainers/runtime-spec/1/Process"
    /// The `linux.resources` object of an OCI runtime-spec document; what Task.Update carries.
    public static let linuxResources = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources"
}

extension Google_Protobuf_Any {
    /// Wraps a message under its bare full name, as containerd's type URLs are.
    public init(packed message: some Message) {
        self.init()
        typeURL = type(of: message).protoMessageName
        value = .init(message.bytes)
    }

    /// Wraps a JSON document.
    public init(typeURL: String, json: [UInt8]) {
        self.init()
        self.typeURL = typeURL
        value = .init(json)
    }

    /// True when the value is of the named type: the part after the last "/" of the URL counts.
    public func holds<M: Message>(_ type: M.Type) -> Bool {
        typeURL == M.protoMessageName || typeURL.hasSuffix("/" + M.protoMessageName)
    }

    /// The wrapped message, or nil when it is of another type.
    ///
    /// - Throws: `invalidArgument` when the value is not what its URL says.
    public func decode<M: Message>(_ type: M.Type) throws(RPCError) -> M? {
        guard holds(type) else {
            return nil
        }
        do {
            return try M(serializedBytes: value)
        } catch {
            throw .undecodable(M.protoMessageName)
        }
    }

    /// The value as bytes, such as a JSON document.
    public var document: [UInt8] {
        Array(value)
    }
}
