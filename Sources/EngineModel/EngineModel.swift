// The values that the engine is about: what a container, an image, an exec session and an event are, how they are named and configured, and
// what can go wrong with them.
//
// The model. Values in, values out: nothing here asks the node, a shim or the clock. What changes with time is a state machine
// (`Lifecycle`) or a decision (`Recovery`) that the engine feeds and obeys. A face translates to and from these values, the store
// keeps them, the engine moves them.
