// Cgroups: the control group of a container, whatever version the host has.
//
// The model: a `CgroupTree` is the host's mounted hierarchies, found once; it makes a `Cgroup`, which is the same path in each of
// them. Limits are applied before anything runs inside; a process enters through a `CgroupEntrance` opened beforehand, and at
// the end the verdict on memory is read, what is left is killed, and the directories are removed.
//
// Three shapes of host exist and all have the same interface: the v1 hierarchies, v1 with an empty v2 hierarchy beside them
// (hybrid, where killing and freezing use the v2 one), and v2 alone. What a host cannot do is an error that names the field.
