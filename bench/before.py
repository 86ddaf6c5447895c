"""What the system that the project page describes took, on a machine like ours: a column beside our figures.

Liqo as of 31 August 2020, on two hosts of one bridge and with a zone of the same kind, the machine 2 cores and 24 GiB.
Its DNS client asked no server over TCP, and its API client was held to five requests a second: of 1,000 clusters it
found 22. What is compared here had TCP added and that limit raised.
"""

SYSTEM = "Liqo of 8/2020"
BEFORE = {
    "LAN: announcement → ForeignCluster, P50": "1.58 s from the process's start",
    "LAN: announcement → ForeignCluster, P99": "3.09 s, the most of its runs",
    "LAN: goodbye → source gone, P99": "10.9 s, the most of its runs",
    "10 found in a domain, +0 ms a query": "2.0 s as it was",
    "10 found in a domain, +20 ms a query": "2.5 s as it was",
    "100 found in a domain, +0 ms a query": "1.75 s",
    "100 found in a domain, +20 ms a query": "7.0 s",
    "1000 found in a domain, +0 ms a query": "15.5 s",
    "1000 found in a domain, +20 ms a query": "48.9 s",
    "requests about them an idle 60 s, 100": "315–335, all of its requests",
    "memory with 100 that nobody joined": "37 MiB",
}
