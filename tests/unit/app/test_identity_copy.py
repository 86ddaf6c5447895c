"""A copy of an identity: what it holds, when it is taken back, and what a cluster is without."""

import json
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from liqo.api.kinds import CONFIG_MAP, SECRET
from liqo.api.meta import Key
from liqo.api.names import CLUSTER_ID_CONFIG_MAP, IDENTITY_SECRET
from liqo.app.identity import ensure_identity, tell_lost
from liqo.app.identity_copy import COPY_MAX, Standing, copy, give_up, look, parse_copy, restore
from liqo.errors import Malformed, Refused
from liqo.identity.cluster_id import Identity, format_identity, new_identity
from liqo.runtime.events import EVENT, EventWriter
from liqo.runtime.metrics import Metrics
from manual_clock import ManualClock
from memory_cluster import MemoryCluster

NS = "liqo"
SECRET_KEY, ID_KEY = Key(NS, IDENTITY_SECRET), Key(NS, CLUSTER_ID_CONFIG_MAP)
LEGACY = "6b9df7a1-0d4c-4c4e-9a43-3a4f1f2f7f11"


@pytest.fixture
def cluster() -> MemoryCluster:
    return MemoryCluster(now=ManualClock().now)


async def copied(cluster: MemoryCluster) -> Identity:
    return parse_copy((await copy(cluster, NS)).encode())


async def test_a_lost_key_is_put_back_from_its_copy(cluster: MemoryCluster) -> None:
    first, identity = await ensure_identity(cluster, NS)
    kept = await copied(cluster)
    await cluster.delete(SECRET, SECRET_KEY)
    assert await look(cluster, NS) == Standing(first, None)
    assert (await look(cluster, NS)).problem == "IdentityLost"
    assert await restore(cluster, NS, kept)
    assert await look(cluster, NS) == Standing(first, first)
    assert (await look(cluster, NS)).problem == ""
    assert format_identity((await ensure_identity(cluster, NS))[1]) == format_identity(identity)


async def test_what_is_there_already_is_left_alone(cluster: MemoryCluster) -> None:
    await ensure_identity(cluster, NS)
    before = cluster.seen(SECRET, IDENTITY_SECRET, NS)
    assert not await restore(cluster, NS, await copied(cluster))
    assert cluster.seen(SECRET, IDENTITY_SECRET, NS) == before


@pytest.mark.parametrize("lost", [SECRET_KEY, None], ids=["the key is lost", "the key is there"])
async def test_a_copy_of_another_cluster_is_refused(cluster: MemoryCluster, lost: Key | None) -> None:
    first, _ = await ensure_identity(cluster, NS)
    if lost:
        await cluster.delete(SECRET, lost)
    other = new_identity()
    with pytest.raises(Refused, match=f"the copy is of cluster {other.cluster_id}, and this is {first}"):
        await restore(cluster, NS, other)
    assert (await look(cluster, NS)).key_of == (None if lost else first)


async def test_an_empty_cluster_becomes_the_one_in_the_copy(cluster: MemoryCluster) -> None:
    kept = new_identity()
    assert await restore(cluster, NS, kept)
    assert (await ensure_identity(cluster, NS))[0] == kept.cluster_id


async def test_a_cluster_with_an_older_id_takes_its_key_back(cluster: MemoryCluster) -> None:
    named = {"name": CLUSTER_ID_CONFIG_MAP, "namespace": NS}
    await cluster.create(CONFIG_MAP, {"metadata": named, "data": {CLUSTER_ID_CONFIG_MAP: LEGACY}})
    _, identity = await ensure_identity(cluster, NS)
    kept = await copied(cluster)
    await cluster.delete(SECRET, SECRET_KEY)
    assert await restore(cluster, NS, kept)
    assert (await ensure_identity(cluster, NS))[1].cluster_id == identity.cluster_id


async def test_an_identity_that_was_given_up_is_another_at_the_next_start(cluster: MemoryCluster) -> None:
    first, _ = await ensure_identity(cluster, NS)
    assert await give_up(cluster, NS) == first
    assert await look(cluster, NS) == Standing(None, None)
    assert (await ensure_identity(cluster, NS))[0] != first
    await give_up(cluster, NS)
    assert await give_up(cluster, NS) is None  # again, or before the first start


async def test_there_is_nothing_to_copy_before_the_first_start(cluster: MemoryCluster) -> None:
    with pytest.raises(Refused, match=f"there is no Secret {IDENTITY_SECRET}"):
        await copy(cluster, NS)


GOOD = format_identity(new_identity())
BAD: dict[str, Any] = {
    "no JSON": "apiVersion: v1",
    "a list": [],
    "no data": {"kind": "Secret"},
    "data that is a text": {"data": "x"},
    "values that are no texts": {"data": {"identity.jwk": 7}},
    "no base64": {"data": dict.fromkeys(GOOD, "***")},
    "another Secret": {"data": {"tls.key": "AAAA"}},
}


@pytest.mark.parametrize("what", BAD)
def test_a_file_that_is_no_copy_is_refused_without_telling_what_is_in_it(what: str) -> None:
    raw = BAD[what].encode() if isinstance(BAD[what], str) else json.dumps(BAD[what]).encode()
    with pytest.raises(Malformed, match="that is no copy of an identity: ") as refused:
        parse_copy(raw)
    assert "liqo identity backup" in refused.value.hint
    assert not any(value in str(refused.value) for value in GOOD.values())


def test_a_file_without_end_is_refused() -> None:
    with pytest.raises(Malformed, match="longer than"):
        parse_copy(b" " * (COPY_MAX + 1))


async def test_why_a_controller_does_not_start_is_told_on_the_config_map(cluster: MemoryCluster) -> None:
    fault = Refused("the key is lost", reason="IdentityLost", hint="restore it")
    metrics = Metrics(CollectorRegistry())
    events = EventWriter(cluster, clock=ManualClock(), metrics=metrics, component="liqo-controller")
    await tell_lost(cluster, NS, fault, events)
    await events.flush()
    assert cluster.objects(EVENT) == []  # there is nothing to tell it on
    await ensure_identity(cluster, NS)
    await tell_lost(cluster, NS, fault, events)
    await events.flush()
    (event,) = cluster.objects(EVENT)
    assert (event["involvedObject"]["name"], event["type"]) == (CLUSTER_ID_CONFIG_MAP, "Warning")
    assert (event["reason"], event["message"]) == ("IdentityLost", "the key is lost\nhint: restore it")
