// DockerAPI: described here.
