"""What tests on a real API server share."""

from collections.abc import AsyncIterator

import pytest

import tenant_lab
from liqo.adapters.kube import HttpCluster
from liqo.api.names import CONTROLLER, LAN_AGENT
from liqo.lab.lab import Lab
from rights_lab import NS, Bench, installed


@pytest.fixture
async def bench(plane: Lab) -> AsyncIterator[Bench]:
    async with installed(plane.cluster("rome").kubeconfig) as found:
        yield found


@pytest.fixture
async def controller(bench: Bench) -> HttpCluster:
    return await bench.account(NS, CONTROLLER)


@pytest.fixture
async def agent(bench: Bench) -> HttpCluster:
    return await bench.account(NS, LAN_AGENT)


@pytest.fixture
async def tenant(bench: Bench) -> HttpCluster:
    return await tenant_lab.settle(bench)
