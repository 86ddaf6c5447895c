"""The Clusters that the suites of the port run on."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from liqo.adapters.clock import SystemClock, SystemRandom
from liqo.adapters.kube import HttpCluster
from liqo.adapters.kubeconfig import load_access
from liqo.runtime.ports import Cluster
from memory_cluster import MemoryCluster


@pytest.fixture(params=["memory", pytest.param("real", marks=pytest.mark.lab)])
async def cluster(request: pytest.FixtureRequest) -> AsyncIterator[Cluster]:
    if request.param == "memory":
        yield MemoryCluster()
        return
    access = load_access(request.getfixturevalue("plane").cluster("rome").kubeconfig)
    http = HttpCluster(
        access.server,
        ssl_context=access.ssl_context,
        token=access.token,
        server_hostname=access.server_hostname,
        clock=SystemClock(),
        random=SystemRandom(),
        manager="liqo",
    )
    yield http
    await http.close()


@pytest.fixture
def name() -> str:
    return f"t-{uuid4().hex[:10]}"
