// HostBundle: what backends share whose container another program of the host makes, such as an OCI runtime.
//
// The model: that program knows a bundle, a directory with a document and a mounted root. What a manager of ours leaves to the backend
// (mounting the root, users by name) is done here before, and where the container is found afterwards is asked of the kernel.
