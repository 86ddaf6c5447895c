"""Clusters that are not who they were, or not where they were, in a world of two."""

from datetime import timedelta

import pytest

from liqo.api.kinds import (
    CLUSTER_CONFIG,
    CONFIG_MAP,
    FEDERATION_REQUEST,
    FOREIGN_CLUSTER,
    NAMESPACE,
    SECRET,
    SERVICE_ACCOUNT,
)
from liqo.api.meta import Key
from liqo.api.names import CLUSTER_ID_CONFIG_MAP, IDENTITY_SECRET
from liqo.peering.outgoing import ASK_AGAIN_MOST
from liqo.peering.tokens import LIFETIME
from strategies import certificate
from world import NS, Side, World

FEW_SECONDS = timedelta(seconds=5)
MINUTES = timedelta(minutes=3)
SECOND = timedelta(seconds=1)
REPLACED = ("False", "IdentityReplaced")


async def joined(world: World) -> None:
    await world.join("rome", "milan")
    await world.run(FEW_SECONDS)
    assert world.is_ready()


async def become_new(side: Side) -> None:
    """Give a cluster a new identity, as its owner does who lost the key and has no backup."""
    await side.stop()
    await side.api.delete(SECRET, Key(NS, IDENTITY_SECRET))
    await side.api.delete(CONFIG_MAP, Key(NS, CLUSTER_ID_CONFIG_MAP))
    await side.start()


async def move(world: World, name: str, server: str) -> None:
    """Change the address at which others reach a cluster; nobody answers at the old one."""
    side = world.sides[name]
    side.aliases.add(server)
    world.dead.add(side.server)
    spec = {"discoveryConfig": {"apiUrl": server}}
    await side.api.patch(CLUSTER_CONFIG, Key("", "clusterconfig"), {"spec": spec})


async def test_another_cluster_at_foreign_s_address_ends_the_peering_and_gets_none_of_it(
    world: World,
) -> None:
    await joined(world)
    old = world.sides["milan"].id
    await world.install("milan", 2)
    await world.run(MINUTES, SECOND)
    rome = world.sides["rome"]
    assert rome.condition("foreign-cluster", "IdentityVerified") == REPLACED
    assert rome.condition("foreign-cluster", "Requested") == REPLACED
    assert world.leftovers() == {}
    assert world.sides["milan"].id != old
    await world.join("rome", "milan", "the-new-one")
    await world.run(FEW_SECONDS)
    assert len(rome.virtual_nodes()) == 1
    assert rome.condition("the-new-one", "NodeReady") == ("True", "Ready")


async def test_an_identity_that_comes_back_is_joined_again(world: World) -> None:
    await joined(world)
    backup = world.sides["milan"]
    await world.install("milan", 2)
    await world.run(MINUTES, SECOND)
    await world.sides["milan"].stop()
    world.sides["milan"] = backup
    await backup.start()
    await world.run(ASK_AGAIN_MOST + MINUTES, SECOND)
    assert world.is_ready()


async def test_another_cluster_at_home_s_address_gets_nothing_of_the_old_one(world: World) -> None:
    await joined(world)
    await world.install("rome", 1)
    await world.run(MINUTES, SECOND)
    assert world.leftovers() == {}
    await joined(world)


async def test_a_home_that_becomes_another_cluster_joins_as_that(world: World) -> None:
    await joined(world)
    rome, milan = world.sides["rome"], world.sides["milan"]
    old = rome.id
    await become_new(rome)
    await world.run(MINUTES, SECOND)
    assert world.is_ready()
    assert rome.id != old
    assert [n["metadata"]["name"] for n in milan.api.objects(NAMESPACE)] == [f"liqo-tenant-{rome.id}"]
    assert len(milan.api.objects(FEDERATION_REQUEST)) == 1


async def test_a_foreign_that_becomes_another_cluster_is_told_and_can_be_joined_as_that(world: World) -> None:
    await joined(world)
    await become_new(world.sides["milan"])
    await world.run(MINUTES, SECOND)
    assert world.sides["rome"].condition("foreign-cluster", "IdentityVerified") == REPLACED
    assert world.leftovers() == {}


async def test_home_moves_and_foreign_follows(world: World) -> None:
    await joined(world)
    await move(world, "rome", "https://10.0.0.11:6443")
    await world.run(MINUTES, SECOND)
    assert world.is_ready()
    made = world.sides["milan"].foreign(world.sides["rome"].id)
    assert made is not None
    assert made["status"]["incoming"]["server"] == "https://10.0.0.11:6443"


async def test_foreign_moves_and_home_follows(world: World) -> None:
    await joined(world)
    await move(world, "milan", "https://10.0.0.12:6443")
    await world.run(MINUTES, SECOND)
    assert world.is_ready()


async def test_accounts_deleted_by_hand_are_made_again(world: World) -> None:
    await joined(world)
    for side in world.sides.values():
        for account in side.api.objects(SERVICE_ACCOUNT):
            await side.api.delete(SERVICE_ACCOUNT, Key.of(account))
    await world.run(MINUTES, SECOND)
    assert world.is_ready()


async def test_a_home_that_is_never_heard_of_again_is_forgotten(world: World) -> None:
    await joined(world)
    milan = world.sides["milan"]
    spec = {"peeringConfig": {"forgetAfter": 60}}
    await milan.api.patch(CLUSTER_CONFIG, Key("", "clusterconfig"), {"spec": spec})
    await world.sides["rome"].stop()
    world.sides["rome"].down = True
    await world.run(LIFETIME, timedelta(minutes=10))
    assert milan.api.objects(NAMESPACE)
    await world.run(MINUTES, SECOND)
    assert not [name for name in world.leftovers() if name.startswith("milan/")]


@pytest.mark.parametrize("alive", [True, False])
async def test_a_home_that_a_person_deletes_is_forgotten_at_once_and_asks_again_if_it_is_there(
    world: World, *, alive: bool
) -> None:
    await joined(world)
    rome, milan = world.sides["rome"], world.sides["milan"]
    if not alive:
        await rome.stop()
        rome.down = True
    await milan.api.delete(FOREIGN_CLUSTER, Key("", rome.id))
    await world.run(FEW_SECONDS)
    assert not [name for name in world.leftovers() if name.startswith("milan/")]
    await world.run(MINUTES, SECOND)
    assert bool(milan.api.objects(FOREIGN_CLUSTER)) is alive
    assert not alive or world.is_ready()


async def test_of_two_that_claim_one_id_the_one_that_proves_it_counts_and_both_say_so(world: World) -> None:
    rome, milan = world.sides["rome"], world.sides["milan"]
    await world.install("paris", 3)
    spec = {"clusterID": milan.id, "join": True, "namespace": NS, "allowUntrustedCA": True}
    for name, there in (("b-liar", world.sides["paris"]), ("honest", milan)):  # the liar is the older one
        body = {"metadata": {"name": name}, "spec": {**spec, "apiUrl": there.server}}
        await rome.api.create(FOREIGN_CLUSTER, body)
        await world.run(FEW_SECONDS)
    assert rome.condition("honest", "NodeReady") == ("True", "Ready")
    assert rome.condition("honest", "IdentityVerified") == ("True", "IdConflict")
    assert rome.condition("b-liar", "IdentityVerified") == ("False", "WrongClusterID")
    assert rome.condition("b-liar", "Requested") == ("False", "IdConflict")
    assert world.sides["paris"].api.objects(FEDERATION_REQUEST) == []


async def test_a_home_that_shows_another_ca_costs_no_busy_loop(world: World) -> None:
    await world.install("rome", 1, ca_pem=certificate("one", 1))
    await joined(world)
    rome, milan = world.sides["rome"], world.sides["milan"]
    rome.ca_pem = certificate("two", 2)  # what stands at its address shows that, and it does not know
    rome.api.end_watches()
    await world.run(timedelta(seconds=30))
    assert milan.condition(rome.id, "Sharing") == ("False", "CANotTrusted")
    before = milan.wire.writes
    await world.run(timedelta(seconds=30))
    assert milan.wire.writes - before < 30
