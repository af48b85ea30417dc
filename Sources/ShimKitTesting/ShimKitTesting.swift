// ShimKitTesting: what tests of a shim share: a blocking client of its socket and a running shim with a bundle.
