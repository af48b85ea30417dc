// UpgradeTests: what one life of the manager leaves to the next.
//
// As in the system tests, every test has a manager of its own and none runs beside another.

import Foundation
import Testing

/// The parent of all tests about a manager's next life.
///
/// Every place of every file takes longer than all else.
@Suite(.serialized, .timeLimit(.minutes(ProcessInfo.processInfo.environment["BERTH_TEST_DAMAGE"] == "all" ? 90 : 10)))
enum UpgradeTests {}
