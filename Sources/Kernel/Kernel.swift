// Kernel: described here.
