// UpgradeTests: what one life of the manager leaves to the next.
//
// As in the system tests, every test has a manager of its own and none runs beside another.

import Testing

/// The parent of all tests about a manager's next life.
@Suite(.serialized, .timeLimit(.minutes(10)))
enum UpgradeTests {}
