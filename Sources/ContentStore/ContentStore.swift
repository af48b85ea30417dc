// ContentStore: described here.
