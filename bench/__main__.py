"""`make bench`: what the design promises, measured now, on this machine, beside its budget.

Seconds say little from one machine to the next; so each time is also told as a multiple of one small write on the
same API server in the same run.
"""

import argparse
import asyncio
import json
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from bench import dns, flood, peers, pods, truth
from bench.before import BEFORE
from bench.lan import measure_flood, measure_lan
from bench.measure import FOREIGN, HOME, Clusters, Figure, quantile, resident
from liqo.app.lab import up_with_liqo
from liqo.lab.lab import Lab
from liqo.lab.progress import OnConsole

RUNS = 20
PARTS = ("peering", "discovery", "pods", "peers", "flood")
PODS = (10, 100, 1_000, 3_000)


async def measure(lab: Lab, runs: int) -> list[Figure]:
    async with Clusters(lab) as clusters:
        unit = await clusters.yardstick()
        await clusters.create()
        before = await idle(clusters)
        joins, unjoins = [], []
        for run in range(runs):
            joins.append(await clusters.join())
            if run < runs - 1:
                unjoins.append(await clusters.unjoin())
            print(f"run {run + 1}: join {joins[-1]:.2f} s", file=sys.stderr)
        after = await idle(clusters)
        memory = resident(lab, HOME)
        unjoins.append(await clusters.unjoin())
        starts = [await clusters.start() for _ in range(3)]

    time = partial(_time, unit)
    return [
        Figure("one small write, the unit of ratios", round(unit, 4), "s", None),
        time("join → node Ready, P50", quantile(joins, 0.5), 0.5),
        time("join → node Ready, P99", quantile(joins, 0.99), 2.0),
        time("unjoin, both live, P50", quantile(unjoins, 0.5), 5.0),
        time("unjoin, both live, P99", quantile(unjoins, 0.99), 5.0),
        time("start → first reconcile", max(starts), 2.0),
        Figure("memory with one peer", round(memory, 1), "MiB", 100),
        *idle_figures(HOME, before[HOME], after[HOME], 12),
        *idle_figures(FOREIGN, before[FOREIGN], after[FOREIGN], 10),
    ]


async def measure_discovery(lab: Lab) -> list[Figure]:
    async with Clusters(lab) as clusters:
        time = partial(_time, await clusters.yardstick())
        seen, gone = await measure_lan(lab, clusters)
        domains = await dns.measure(clusters, (10, 100, dns.MANY))
        flood = await measure_flood(lab, clusters)
    return [
        time("LAN: announcement → ForeignCluster, P50", quantile(seen, 0.5), 0.3),
        time("LAN: announcement → ForeignCluster, P99", quantile(seen, 0.99), 0.3),
        time("LAN: goodbye → source gone, P99", quantile(gone, 0.99), 2.0),
        *(Figure(*row) for row in (*flood, *domains)),
    ]


def _time(unit: float, what: str, seconds: float, budget: float) -> Figure:
    """Return a time also as a multiple of the unit."""
    return Figure(what, round(seconds, 3), "s", budget, round(seconds / unit, 1))


async def idle(clusters: Clusters) -> dict[str, Counter[tuple[str, str]]]:
    """Return the requests of an idle minute on both sides."""
    home, foreign = await asyncio.gather(clusters.idle(HOME), clusters.idle(FOREIGN))
    return {HOME: home, FOREIGN: foreign}


def idle_figures(
    name: str, before: Counter[tuple[str, str]], after: Counter[tuple[str, str]], budget: float
) -> list[Figure]:
    """Return what one idle peer adds to the requests of a minute, in all and by verb and resource."""
    side = "home" if name == HOME else "foreign"
    added = Counter({k: v - before[k] for k, v in after.items() if v != before[k]})
    total = Figure(f"requests an idle minute, {side}", sum(added.values()), "", budget)
    rows = [
        Figure(f"  {verb} {resource}", count, "", None) for (verb, resource), count in sorted(added.items())
    ]
    return [total, *rows]


def show(figures: list[Figure]) -> None:
    head = (
        f"{'what':<48} {'value':>9} {'':<4} {'of all runs':>15} {'budget':>8} {'':<7} {'x small write':>13}"
    )
    print(f"{head}  before")
    for f in figures:
        budget = "" if f.budget is None else f"{f.budget:g}"
        ratio = "" if f.ratio is None else f"{f.ratio:g}"
        spread = "" if f.least is None else f"{f.least:g} – {f.most:g}"
        line = f"{f.what:<48} {f.value:>9g} {f.unit:<4} {spread:>15} {budget:>8} {f.held:<7} {ratio:>13}"
        print(f"{line}  {BEFORE.get(f.what, '')}".rstrip())


async def measure_pods(lab: Lab, sizes: Sequence[int]) -> list[Figure]:
    async with Clusters(lab) as clusters:
        figures = await pods.measure(clusters, sizes)
        return [*figures, *(Figure(*row) for row in await truth.measure(clusters))]


async def measure_peers(lab: Lab, count: int) -> list[Figure]:
    async with Clusters(lab) as clusters:
        return await peers.measure(clusters, count)


async def measure_strangers(lab: Lab) -> list[Figure]:
    async with Clusters(lab) as clusters:
        return [Figure(*row) for row in await flood.measure(clusters)]


def with_lab(
    work: Callable[[Lab], Coroutine[Any, Any, list[Figure]]],
    *,
    nodes: int | None = None,
    lan: bool | None = None,
) -> list[Figure]:
    """Return what was measured in a fresh lab of two clusters."""
    with tempfile.TemporaryDirectory(prefix="liqo-bench-") as folder, OnConsole() as progress:
        lab = Lab(Path(folder) / "lab", progress=progress)
        try:
            up_with_liqo(lab, (HOME, FOREIGN), nodes=nodes, lan=lan)
            return asyncio.run(work(lab))
        finally:
            lab.down()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("-o", "--output", choices=["table", "json"], default="table")
    parser.add_argument("--file", type=Path, help="write the JSON here, beside what is printed")
    parser.add_argument("--runs", type=int, default=RUNS, help="of join and unjoin")
    parser.add_argument("--pods", type=int, nargs="*", default=PODS, help="in one Deployment, for each run")
    parser.add_argument("--peers", type=int, default=peers.PEERS, help="of which one is real")
    parser.add_argument("--only", choices=PARTS, help="leave the others out")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # the clusters go too
    figures: list[Figure] = []
    parts = (args.only,) if args.only else PARTS
    if "peering" in parts:
        figures += with_lab(partial(measure, runs=args.runs))
    if "discovery" in parts:
        figures += with_lab(measure_discovery)
    if "pods" in parts:
        figures += with_lab(partial(measure_pods, sizes=args.pods), nodes=pods.NODES, lan=False)
    if "flood" in parts:
        figures += with_lab(measure_strangers, lan=False)
    if "peers" in parts:
        figures += with_lab(partial(measure_peers, count=args.peers), nodes=pods.NODES, lan=False)
    told = [asdict(f) | {"held": f.held, "before": BEFORE.get(f.what, "")} for f in figures]
    found = json.dumps(told, indent=2, ensure_ascii=False)
    if args.file:
        args.file.write_text(found + "\n")
    if args.output == "json":
        print(found)
    else:
        show(figures)


main()
