// OCISpec: described here.
