// Seccomp: described here.
