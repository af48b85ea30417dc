// Sandbox: described here.
