// Engine: described here.
