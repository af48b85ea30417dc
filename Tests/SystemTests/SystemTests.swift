// SystemTests: the daemon, its shims and real clients, as an operator has them.
//
// Every test gets a manager of its own (``Daemon``), and none runs beside another: what they measure is what they caused.

import Testing

/// The parent of all system tests.
@Suite(.serialized, .timeLimit(.minutes(10)))
enum SystemTests {}
