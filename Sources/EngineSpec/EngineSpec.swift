// What a request becomes: checked (`ConfigurationCheck`), merged with its image (`Resolution`), planned (`MountPlan`,
// `UserNamespaceDecision`, `CgroupPlace`: together a `ContainerPlan`), and turned into the runtime document of a bundle (`SpecBuilder`).
//
// The model. A request is looked at once, when the container is created; the plan that comes of it is never changed afterwards, and each
// start builds the document of the plan anew. All of it is values; only `SystemFacts`, `DeviceLookup` and the files in `GeneratedFiles` that
// begin with the host's read the node.
