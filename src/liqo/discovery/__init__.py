"""Finding other clusters: on the LAN, in DNS; every way ends in a ForeignCluster."""
