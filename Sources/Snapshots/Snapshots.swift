// Snapshots: described here.
