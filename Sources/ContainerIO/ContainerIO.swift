// ContainerIO: described here.
