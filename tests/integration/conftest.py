"""What tests on a real API server share."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import pytest

from liqo.adapters.kube import HttpCluster
from liqo.api.names import CONTROLLER
from rights_lab import NS, Bench, installed


class Plane(Protocol):
    kubeconfig: Path


@pytest.fixture
async def bench(plane: Plane) -> AsyncIterator[Bench]:
    async with installed(plane.kubeconfig) as found:
        yield found


@pytest.fixture
async def controller(bench: Bench) -> HttpCluster:
    return await bench.account(NS, CONTROLLER)
