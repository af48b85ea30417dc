// What the engine must know again after it died: containers, events, and the ids of the host that user namespaces hold.
//
// The model. One database, one writer (`Store`). A change and the events that tell of it are one transaction, durable when the call returns;
// `EventHub` hands committed events to readers in order. What is taken in memory before it is written (`IDRanges`) is given back only
// when nothing of its holder is left.
