"""Who a cluster is after a start, by what is left of its identity."""

import asyncio
import base64

import pytest

from liqo.api.kinds import CONFIG_MAP, SECRET
from liqo.api.meta import Key, Wire
from liqo.api.names import CLUSTER_ID_CONFIG_MAP, IDENTITY_SECRET
from liqo.app.identity import ensure_identity
from liqo.errors import Refused
from manual_clock import ManualClock
from memory_cluster import MemoryCluster

NS = "liqo"
SECRET_KEY, ID_KEY = Key(NS, IDENTITY_SECRET), Key(NS, CLUSTER_ID_CONFIG_MAP)
LEGACY = "6b9df7a1-0d4c-4c4e-9a43-3a4f1f2f7f11"


@pytest.fixture
def cluster() -> MemoryCluster:
    return MemoryCluster(now=ManualClock().now)


def say(cluster_id: str) -> Wire:
    return {
        "metadata": {"name": CLUSTER_ID_CONFIG_MAP, "namespace": NS},
        "data": {CLUSTER_ID_CONFIG_MAP: cluster_id},
    }


async def test_a_cluster_makes_its_identity_once(cluster: MemoryCluster) -> None:
    first, _ = await ensure_identity(cluster, NS)
    again, identity = await ensure_identity(cluster, NS)
    assert first == again == identity.cluster_id
    assert (await cluster.get(CONFIG_MAP, ID_KEY))["data"] == {CLUSTER_ID_CONFIG_MAP: first}


async def test_two_that_start_at_once_are_one(cluster: MemoryCluster) -> None:
    found = await asyncio.gather(*(ensure_identity(cluster, NS) for _ in range(3)))
    assert len({cluster_id for cluster_id, _ in found}) == 1


async def test_the_config_map_is_made_again_from_the_key(cluster: MemoryCluster) -> None:
    first, _ = await ensure_identity(cluster, NS)
    await cluster.delete(CONFIG_MAP, ID_KEY)
    assert (await ensure_identity(cluster, NS))[0] == first


async def test_a_lost_key_is_told_with_what_to_do_and_no_other_is_made(cluster: MemoryCluster) -> None:
    first, _ = await ensure_identity(cluster, NS)
    backup = cluster.seen(SECRET, IDENTITY_SECRET, NS)
    await cluster.delete(SECRET, SECRET_KEY)
    with pytest.raises(Refused, match=f"key of cluster {first} is lost") as refused:
        await ensure_identity(cluster, NS)
    assert refused.value.reason == "IdentityLost"
    assert "liqo identity restore FILE" in refused.value.hint
    assert cluster.seen(SECRET, IDENTITY_SECRET, NS) is None
    assert backup is not None
    await cluster.create(
        SECRET, {"metadata": {"name": IDENTITY_SECRET, "namespace": NS}, "data": backup["data"]}
    )
    assert (await ensure_identity(cluster, NS))[0] == first


async def test_a_key_of_another_cluster_is_told(cluster: MemoryCluster) -> None:
    await ensure_identity(cluster, NS)
    await cluster.delete(CONFIG_MAP, ID_KEY)
    await cluster.create(CONFIG_MAP, say("a" * 32))
    with pytest.raises(Refused, match="but the key is that of") as refused:
        await ensure_identity(cluster, NS)
    assert refused.value.reason == "IdentityMismatch"


async def test_a_uuid_of_an_older_installation_stays_the_id(cluster: MemoryCluster) -> None:
    await cluster.create(CONFIG_MAP, say(LEGACY))
    cluster_id, identity = await ensure_identity(cluster, NS)
    assert cluster_id == LEGACY
    assert identity.cluster_id != LEGACY
    stored = await cluster.get(SECRET, SECRET_KEY)
    assert all(base64.b64decode(text) for text in stored["data"].values())
