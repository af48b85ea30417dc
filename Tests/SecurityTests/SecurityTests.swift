// SecurityTests: the published vulnerability classes of container managers, each as a family of cases.
//
// `docs/security.md` has the table: class, rule, place in the source, test, and what the test said when the rule was taken
// out. Mechanisms are tried with `sandbox-run`, which is the native backend without a manager; where the manager, its API or
// a shim is the point, with a daemon of the test's own. Before and after every case the host is looked at (``Host``):
// a canary tree, its mounts, its kernel parameters.

import Testing

/// The parent of all security tests: one after another, because each compares what the host was with what it is.
@Suite(.serialized, .timeLimit(.minutes(10)))
enum SecurityTests {}
