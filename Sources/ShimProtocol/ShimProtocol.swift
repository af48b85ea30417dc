// ShimProtocol: described here.
