"""What others took, on a machine like ours (2 cores, 24 GiB): a column beside our figures.

Discovery: the system that the project page describes, Liqo as of 31 August 2020, on two hosts of one bridge and with a
zone of the same kind. Its DNS client asked no server over TCP, and its API client was held to five requests a second:
of 1,000 clusters it found 22. What is compared here had TCP added and that limit raised.

Pods: Liqo v1.2.0, one Deployment from consumer to provider, its networking off, Kubernetes 1.37.2, the same fake nodes,
and the scheduler, controller manager and kwok with raised client limits as in our lab. Where there are three figures,
they are the least, the median and the most of its runs.
"""

LIQO_2020 = "Liqo of 8/2020"
LIQO_1_2 = "Liqo v1.2.0"

_DISCOVERY = {
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
_PODS = {
    "10 pods through the virtual node": "1.03 / 1.28 / 1.72 s",
    "100 pods through the virtual node": "8.83 / 9.05 / 9.36 s",
    "1,000 pods through the virtual node": "92.6 and 95.6 s, 10.8 pods a second",
    "3,000 pods through the virtual node": "276 s",
    "  CPU of each of 1,000, directly": "13 ms, one cluster alone",
    "  CPU of each of 1,000, whole machine": "153 ms",
    "    of that Liqo, home, each of 1,000": "27 ms, all its processes on both",
    "  requests for each of 1,000, home": "about 12 writes",
    "  requests for each of 1,000, foreign": "about 17 writes",
    "  peak memory of Liqo with 1,000, home": "185 MiB then",
    "  peak memory of Liqo with 3,000, home": "434 MiB",
    "requests an idle minute and peer, 1,000 pods, home": "about 45 with one idle peer, both sides",
}
BEFORE = {
    **{what: f"{text} ({LIQO_2020})" for what, text in _DISCOVERY.items()},
    **{what: f"{text} ({LIQO_1_2})" for what, text in _PODS.items()},
}
