// Client: described here.
