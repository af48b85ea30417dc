// DockerTypes: described here.
