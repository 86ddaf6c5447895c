"""The LAN: from an announcement on the wire to its ForeignCluster, and from a goodbye to the source's end."""

import asyncio
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from bench.measure import FOREIGN, HOME, POLL, Clusters, Row, resident, worked
from liqo.api.foreign_cluster import ForeignCluster
from liqo.api.kinds import CONFIG_MAP, FOREIGN_CLUSTER
from liqo.api.meta import Key
from liqo.api.names import CLUSTER_ID_CONFIG_MAP, NAMESPACE
from liqo.discovery.sighting import LAN
from liqo.lab.lab import LIQO_LAN, Lab
from liqo.runtime.ports import Selection

RUNS = 50
WITHIN_SECONDS = 30.0
HOSTILE = "turin"
NEIGHBOUR = Path(__file__).parents[1] / "tests" / "integration" / "lan" / "neighbour.py"
FAKES, FLOOD_SECONDS = 10_000, 20
LETTERS = "abcdefghijklmnopqrstuvwxyz234567"

# Runs on the neighbour's host: a line "ID TTL" sends one announcement and answers with the instant.
ANNOUNCE = """
import socket, struct, sys, time
def name(text):
    return b"".join(bytes([len(p)]) + p.encode() for p in text.split(".")) + b"\\0"
def record(owner, kind, klass, ttl, data):
    return name(owner) + struct.pack("!HHIH", kind, klass, ttl, len(data)) + data
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
out.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
out.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
out.bind((sys.argv[1], 5353))
for line in sys.stdin:
    cluster, ttl = line.split()[0], int(line.split()[1])
    full, host = f"bench-{cluster[:6]}._liqo._tcp.local", f"bench-{cluster[:6]}.local"
    text = b"".join(bytes([len(t)]) + t.encode() for t in (f"id={cluster}", "namespace=liqo"))
    answers = [
        record("_liqo._tcp.local", 12, 1, ttl, name(full)),
        record(full, 33, 0x8001, ttl, struct.pack("!HHH", 0, 0, 6443) + name(host)),
        record(full, 16, 0x8001, ttl, text),
        record(host, 1, 0x8001, ttl, socket.inet_aton(sys.argv[1])),
    ]
    packet = struct.pack("!6H", 0, 0x8400, 0, len(answers), 0, 0) + b"".join(answers)
    at = time.time()
    out.sendto(packet, ("224.0.0.251", 5353))
    print(at, flush=True)
"""


async def measure_lan(lab: Lab, clusters: Clusters, runs: int = RUNS) -> tuple[list[float], list[float]]:
    """Return how long each cluster took to be found and to be gone, in seconds; needs Liqo's LAN agent at home."""
    command = lab.command(FOREIGN, (sys.executable, "-c", ANNOUNCE, lab.cluster(FOREIGN).host))
    found, gone = [], []
    with subprocess.Popen(  # noqa: ASYNC220  it is talked to by lines, in a thread
        command.argv, env=command.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as neighbour:
        for run in range(runs):
            cluster_id = (LETTERS[run // 32] + LETTERS[run % 32]) * 16
            found.append(await _time(neighbour, clusters, cluster_id, 120))
            gone.append(await _time(neighbour, clusters, cluster_id, 0))
        assert neighbour.stdin is not None
        neighbour.stdin.close()
    return found, gone


async def _time(neighbour: "subprocess.Popen[str]", clusters: Clusters, cluster_id: str, ttl: int) -> float:
    assert neighbour.stdin is not None
    assert neighbour.stdout is not None
    neighbour.stdin.write(f"{cluster_id} {ttl}\n")
    neighbour.stdin.flush()
    began = float(await asyncio.to_thread(neighbour.stdout.readline))
    while True:
        shown = await _is_shown(clusters, cluster_id)
        took = clusters.clock.now().timestamp() - began
        if shown is bool(ttl):
            return took
        if took > WITHIN_SECONDS:
            raise TimeoutError(f"{cluster_id} with a TTL of {ttl} s is not taken up")


async def _is_shown(clusters: Clusters, cluster_id: str, instance: str = "") -> bool:
    """Return whether the LAN shows a cluster, under that name if one is given."""
    page = await clusters.to[HOME].list(Selection(FOREIGN_CLUSTER))
    foreigns = [ForeignCluster.parse(wire) for wire in page.items]
    return any(
        f.spec.cluster_id == cluster_id
        and any(s.name == LAN and instance in {"", s.instance} for s in f.status.sources)
        for f in foreigns
    )


async def measure_flood(lab: Lab, clusters: Clusters) -> list[Row]:
    """Return what 10,000 fake instances and broken packets cost home's agent, and how soon it finds an honest one."""
    known = await clusters.to[FOREIGN].get(CONFIG_MAP, Key(NAMESPACE, CLUSTER_ID_CONFIG_MAP))
    honest = known["data"][CLUSTER_ID_CONFIG_MAP]
    await asyncio.to_thread(lab.stop, FOREIGN, LIQO_LAN)
    await asyncio.to_thread(lab.up, (HOSTILE,), nodes=0, liqo=False)
    before = worked(lab, HOME, LIQO_LAN)
    argv = (NEIGHBOUR, lab.cluster(HOSTILE).host, FAKES, FLOOD_SECONDS, honest)
    command = lab.command(HOSTILE, (sys.executable, *map(str, argv)))
    flood = await asyncio.create_subprocess_exec(*command.argv, env=command.env)
    await clusters.clock.sleep(timedelta(seconds=FLOOD_SECONDS / 4))
    log = lab.log(FOREIGN, LIQO_LAN)
    length = log.stat().st_size
    await asyncio.to_thread(lab.start, FOREIGN, LIQO_LAN)
    while b'"announced"' not in log.read_bytes()[length:]:
        await clusters.clock.sleep(POLL)
    began = clusters.clock.now()
    while not await _is_shown(clusters, honest, FOREIGN):
        await clusters.clock.sleep(POLL)
    took = clusters.clock.now() - began
    await flood.wait()
    return [
        ("LAN: honest cluster found in a flood", round(took.total_seconds(), 2), "s", 2.0),
        (
            f"CPU of {FAKES:,} fake instances in {FLOOD_SECONDS} s",
            round(worked(lab, HOME, LIQO_LAN) - before, 1),
            "s",
            None,
        ),
        ("memory of the LAN agent after them", round(resident(lab, HOME, LIQO_LAN), 1), "MiB", 150),
    ]
