// ShimKit: described here.
