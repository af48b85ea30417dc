// Cgroups: described here.
