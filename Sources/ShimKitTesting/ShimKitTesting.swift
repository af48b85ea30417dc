// ShimKitTesting: described here.
