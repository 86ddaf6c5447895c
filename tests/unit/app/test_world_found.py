"""Clusters that are found, in a world of two: what comes of them with and without a person's word."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from liqo.api.kinds import CLUSTER_CONFIG, FOREIGN_CLUSTER, SEARCH_DOMAIN
from liqo.api.meta import Key, Wire
from liqo.discovery.sighting import LAN, Sighting, dns_finder, forge_foreign, forge_source
from world import NS, Side, World

FEW_SECONDS = timedelta(seconds=5)
DOMAIN = "mydomain.com"


def seen(side: Side) -> Sighting:
    return Sighting(
        cluster_id=side.id,
        cluster_name=side.name,
        namespace=NS,
        untrusted_ca=True,
        endpoints=(side.server,),
        instance=side.name,
        ttl=timedelta(seconds=30),
    )


async def search(world: World, **spec: Any) -> None:
    """Have rome search a domain, with milan in it."""
    wire = {"metadata": {"name": DOMAIN}, "spec": {"domain": DOMAIN, **spec}}
    rome = world.sides["rome"]
    await rome.api.create(SEARCH_DOMAIN, wire)
    await world.run(timedelta(seconds=1))
    answer(world, {world.sides["milan"].id: seen(world.sides["milan"])})


def answer(world: World, found: dict[str, Sighting]) -> None:
    rome = world.sides["rome"]
    rome.triggers.found(rome.sightings.replace(dns_finder(DOMAIN), found))


async def see_on_lan(world: World) -> None:
    """Do what rome's agent does when it sees milan."""
    rome, sighting = world.sides["rome"], seen(world.sides["milan"])
    made = await rome.api.create(
        FOREIGN_CLUSTER, forge_foreign(sighting, "LAN", join=False, accept_untrusted=True)
    )
    body = {
        "apiVersion": FOREIGN_CLUSTER.api_version,
        "kind": FOREIGN_CLUSTER.kind,
        "metadata": {"name": sighting.cluster_id, "uid": made["metadata"]["uid"]},
        "status": {"sources": [forge_source(LAN, sighting, world.clock.now())]},
    }
    await rome.api.apply(FOREIGN_CLUSTER, body, manager="liqo-lan", subresource="status")


def names(side: Side) -> set[str]:
    return {w["metadata"]["name"] for w in side.api.objects(FOREIGN_CLUSTER)}


def ready(side: Side) -> list[Wire]:
    return [
        n
        for n in side.virtual_nodes()
        if any(c["type"] == "Ready" and c["status"] == "True" for c in n["status"]["conditions"])
    ]


async def test_what_a_domain_shows_is_there_and_not_joined(world: World) -> None:
    await search(world)
    await world.run(FEW_SECONDS)
    rome, milan = world.sides["rome"], world.sides["milan"]
    assert names(rome) == {milan.id}
    assert rome.condition(milan.id, "Discovered") == ("True", "Found")
    assert not rome.virtual_nodes()
    assert names(milan) == set()


async def test_a_domain_with_autojoin_ends_in_a_ready_node(world: World) -> None:
    await search(world, autojoin=True)
    await world.run(FEW_SECONDS)
    assert len(ready(world.sides["rome"])) == 1


async def test_the_lan_with_autojoin_untrusted_ends_in_a_ready_node(world: World) -> None:
    rome = world.sides["rome"]
    spec = {"spec": {"discoveryConfig": {"autojoinUntrusted": True}}}
    await rome.api.patch(CLUSTER_CONFIG, Key("", "clusterconfig"), spec)
    await see_on_lan(world)
    await world.run(FEW_SECONDS)
    assert len(ready(rome)) == 1


async def test_autojoin_switched_on_later_joins_nobody_who_is_there(world: World) -> None:
    await search(world)
    await world.run(FEW_SECONDS)
    rome, milan = world.sides["rome"], world.sides["milan"]
    spec = {"spec": {"discoveryConfig": {"autojoin": True, "autojoinUntrusted": True}}}
    await rome.api.patch(CLUSTER_CONFIG, Key("", "clusterconfig"), spec)
    await world.run(FEW_SECONDS)
    found = rome.foreign(milan.id)
    assert found is not None
    assert found["spec"]["join"] is False


async def test_found_first_and_then_entered_is_one_peering_and_one_node(world: World) -> None:
    await see_on_lan(world)
    await search(world)
    await world.run(FEW_SECONDS)
    await world.join("rome", "milan")
    await world.run(FEW_SECONDS)
    rome = world.sides["rome"]
    assert names(rome) == {"foreign-cluster"}
    assert len(ready(rome)) == 1
    entered = rome.foreign("foreign-cluster")
    assert entered is not None
    assert [s["name"] for s in entered["status"]["sources"]] == [dns_finder(DOMAIN)]


async def test_entered_first_and_then_found_is_one_peering_and_one_node(world: World) -> None:
    await world.join("rome", "milan")
    await world.run(FEW_SECONDS)
    await search(world, autojoin=True)
    await world.run(FEW_SECONDS)
    rome = world.sides["rome"]
    assert names(rome) == {"foreign-cluster"}
    assert len(ready(rome)) == 1


async def test_joined_where_it_was_found_and_then_entered_is_one_peering_and_one_node(world: World) -> None:
    await search(world, autojoin=True)
    await world.run(FEW_SECONDS)
    await world.join("rome", "milan")
    await world.run(FEW_SECONDS)
    rome, milan = world.sides["rome"], world.sides["milan"]
    assert len(ready(rome)) == 1
    assert rome.condition(milan.id, "NodeReady") == ("True", "Ready")
    assert rome.condition("foreign-cluster", "Requested") == ("False", "DuplicateClusterID")


async def test_one_that_leaves_the_domain_goes_unless_it_is_joined(world: World) -> None:
    await search(world)
    await world.run(FEW_SECONDS)
    rome, milan = world.sides["rome"], world.sides["milan"]
    answer(world, {})
    await world.run(FEW_SECONDS)
    assert names(rome) == set()
    answer(world, {milan.id: seen(milan)})
    await world.run(FEW_SECONDS)
    await rome.api.patch(FOREIGN_CLUSTER, Key("", milan.id), {"spec": {"join": True}})
    await world.run(FEW_SECONDS)
    answer(world, {})
    await world.run(FEW_SECONDS)
    assert rome.condition(milan.id, "Discovered") == ("False", "Lost")
    assert len(ready(rome)) == 1
    await rome.api.patch(FOREIGN_CLUSTER, Key("", milan.id), {"spec": {"join": False}})
    await world.run(FEW_SECONDS)
    assert names(rome) == set()
    assert not rome.virtual_nodes()


async def test_a_domain_that_nobody_searches_any_more_shows_nobody(world: World) -> None:
    await search(world)
    await world.run(FEW_SECONDS)
    rome = world.sides["rome"]
    await rome.api.delete(SEARCH_DOMAIN, Key("", DOMAIN))
    await world.run(FEW_SECONDS)
    assert names(rome) == set()


async def test_a_tenant_that_is_found_and_then_entered_stays_a_tenant(world: World) -> None:
    """Milan joins rome while rome knows milan from a domain; then rome's owner enters milan himself."""
    await search(world)
    await world.run(FEW_SECONDS)
    rome, milan = world.sides["rome"], world.sides["milan"]
    await world.join("milan", "rome")
    await world.run(FEW_SECONDS)
    assert len(ready(milan)) == 1
    await world.join("rome", "milan")
    await world.run(FEW_SECONDS)
    assert len(ready(milan)) == 1
    assert len(ready(rome)) == 1
    await milan.api.patch(FOREIGN_CLUSTER, Key("", "foreign-cluster"), {"spec": {"join": False}})
    await world.run(timedelta(seconds=40))
    assert not milan.virtual_nodes()
    assert len(ready(rome)) == 1
    assert names(rome) == {"foreign-cluster"}


async def test_a_peering_moves_to_another_address_and_back_without_a_new_request(world: World) -> None:
    rome, milan = world.sides["rome"], world.sides["milan"]
    elsewhere = "https://192.168.7.2:6443"
    milan.aliases.add(elsewhere)
    await world.join("rome", "milan")
    await world.run(FEW_SECONDS)
    await search(world)
    answer(world, {milan.id: replace(seen(milan), endpoints=(elsewhere,))})
    await world.run(FEW_SECONDS)
    before = rome.foreign("foreign-cluster")
    assert before is not None
    world.dead.add(milan.server)
    for _ in range(12):
        await world.run(FEW_SECONDS)
        assert len(ready(rome)) == 1
    world.dead = {elsewhere}
    for _ in range(12):
        await world.run(FEW_SECONDS)
        assert len(ready(rome)) == 1
    after = rome.foreign("foreign-cluster")
    assert after is not None
    assert after["status"]["outgoing"]["jti"] == before["status"]["outgoing"]["jti"]


async def test_a_cluster_is_joined_at_the_address_that_answers(world: World) -> None:
    rome, milan = world.sides["rome"], world.sides["milan"]
    await search(world)
    dead = "https://10.9.9.9:6443"
    answer(world, {milan.id: replace(seen(milan), endpoints=(dead, milan.server))})
    await world.run(FEW_SECONDS)
    await rome.api.patch(FOREIGN_CLUSTER, Key("", milan.id), {"spec": {"join": True}})
    await world.run(FEW_SECONDS)
    assert len(ready(rome)) == 1
