"""How long home still calls a pod Ready after its cluster fell silent."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from bench.measure import FOREIGN, HOME, Clusters, Row, pid_of
from bench.pods import APP, POLL, SHOP, running
from liqo.api.kinds import POD
from liqo.api.meta import is_ready
from liqo.lab.lab import Lab
from liqo.runtime.ports import Selection

RUNS = 3  # of each; the slowest counts
BUDGET = 15.0  # seconds
API_SERVER = "kube-apiserver"


async def measure(clusters: Clusters) -> list[Row]:
    """Return the seconds until home says that a pod is not Ready; needs what pods.measure prepared."""
    rows: list[Row] = []
    async with running(clusters, 1):
        for what, silent in {"partition": _parted, "hung API server": _hung}.items():
            took = []
            for _ in range(RUNS):
                await _until(clusters, ready=True)
                began = clusters.clock.now()
                with silent(clusters.lab):
                    await _until(clusters, ready=False)
                    took.append((clusters.clock.now() - began).total_seconds())
            rows.append((f"{what} → home says not Ready", round(max(took), 2), "s", BUDGET))
        await _until(clusters, ready=True)
    return rows


async def _until(clusters: Clusters, *, ready: bool) -> None:
    selection = Selection(POD, namespace=SHOP, labels=APP)
    while [is_ready(pod) for pod in (await clusters.to[HOME].list(selection)).items] != [ready]:
        await clusters.clock.sleep(POLL)


@contextmanager
def _parted(lab: Lab) -> Iterator[None]:
    lab.partition(HOME, FOREIGN)
    try:
        yield
    finally:
        lab.heal(HOME, FOREIGN)


@contextmanager
def _hung(lab: Lab) -> Iterator[None]:
    """Let foreign's API server take connections and say nothing."""
    pid = pid_of(lab, FOREIGN, API_SERVER)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
