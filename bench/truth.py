"""How long home still calls a pod Ready after its cluster fell silent."""

import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import timedelta

from bench.measure import FOREIGN, HOME, Clusters, Row, pid_of
from bench.pods import POLL, SHOP, forge_deployment
from liqo.api.kinds import DEPLOYMENT, POD
from liqo.api.meta import Key, is_ready
from liqo.lab.lab import Lab
from liqo.runtime.ports import Selection

RUNS = 3  # of each; the slowest counts
CROWD = 200  # pods, that set out before anybody can know that nobody answers
SETS_OUT = timedelta(seconds=12)  # after foreign fell silent
BUDGET = 15.0  # seconds
API_SERVER = "kube-apiserver"
ONE, CROWDED = Key(SHOP, "one"), Key(SHOP, "crowd")  # Deployments


async def measure(clusters: Clusters) -> list[Row]:
    """Return the seconds until home says that a pod is not Ready; needs what pods.measure prepared."""
    rows: list[Row] = []
    async with _made(clusters, ONE, 1):
        for what, silent, crowd in (
            ("partition", _parted, 0),
            ("hung API server", _hung, 0),
            (f"hung API server, {CROWD} pods on their way there", _hung, CROWD),
        ):
            took = []
            for _ in range(RUNS):
                await _until(clusters, ready=True)
                began = clusters.clock.now()
                async with AsyncExitStack() as stack:
                    with silent(clusters.lab):
                        if crowd:
                            await clusters.clock.sleep(SETS_OUT)
                            await stack.enter_async_context(_made(clusters, CROWDED, crowd))
                        await _until(clusters, ready=False)
                        took.append((clusters.clock.now() - began).total_seconds())
            rows.append((f"{what} → home says not Ready", round(max(took), 2), "s", BUDGET))
        await _until(clusters, ready=True)
    return rows


@asynccontextmanager
async def _made(clusters: Clusters, key: Key, count: int) -> AsyncIterator[None]:
    """Have a Deployment for the virtual node; in the end wait until all of it is gone."""
    home, pods = clusters.to[HOME], Selection(POD, namespace=SHOP, labels=f"app={key.name}")
    await home.create(DEPLOYMENT, forge_deployment(SHOP, count, key.name))
    yield
    await home.delete(DEPLOYMENT, key)
    while (await home.list(pods)).items:
        await clusters.clock.sleep(POLL)


async def _until(clusters: Clusters, *, ready: bool) -> None:
    selection = Selection(POD, namespace=SHOP, labels=f"app={ONE.name}")
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
