"""Two clusters in memory for each test."""

from collections.abc import AsyncIterator

import pytest

from world import World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    await made.begin()
    yield made
    await made.end()
