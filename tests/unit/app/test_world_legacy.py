"""Clusters whose id is a UUID, which anybody can write down: known by what they showed first, in a world of two."""

from datetime import timedelta

import pytest

from liqo.api.foreign_cluster import Pin
from liqo.api.kinds import ADVERTISEMENT, CLUSTER_CONFIG, FEDERATION_REQUEST, FOREIGN_CLUSTER
from liqo.api.meta import Key, Wire
from liqo.identity.trust import fingerprints
from liqo.peering import pins
from strategies import certificate
from world import NS, Side, World

UUID = "c7a3e3f0-0000-4000-8000-0123456789ab"
HONEST, OTHER = certificate("honest", 1), certificate("other", 2)
FEW_SECONDS = timedelta(seconds=5)
MINUTES = timedelta(minutes=7)
SECOND = timedelta(seconds=1)
NAME = "foreign-cluster"
CHANGED = ("False", "PinChanged")


async def joined(world: World) -> Side:
    """Have rome join milan, whose id is a UUID and of which a person of milan's is told nothing; return rome."""
    await world.install("milan", 2, legacy_id=UUID, ca_pem=HONEST)
    await world.join("rome", "milan")
    await world.run(FEW_SECONDS)
    assert world.is_ready()
    return world.sides["rome"]


def status(side: Side, name: str = NAME) -> Wire:
    found = side.foreign(name)
    assert found is not None
    told: Wire = found["status"]
    return told


def key_of(side: Side) -> str:
    assert side.gate is not None
    return side.gate._home.identity.keys.thumbprint


async def replace(world: World) -> Side:
    """Have another cluster with the same id stand at milan's address, with its own key and CA; return the old one."""
    before = world.sides["milan"]
    await world.install("milan", 2, legacy_id=UUID, ca_pem=OTHER)
    return before


async def accept(rome: Side) -> None:
    """Do what `liqo trust accept` does."""
    spec = {"spec": {"pin": status(rome)["shown"]}}
    await rome.api.patch(FOREIGN_CLUSTER, Key("", NAME), spec)


async def test_a_legacy_id_is_pinned_before_anything_is_sent_and_shown_as_what_it_is(world: World) -> None:
    rome = await joined(world)
    key = key_of(world.sides["milan"])
    pin = {"signingKey": key, "caFingerprints": fingerprints(HONEST), "onceTrusted": False}
    assert status(rome)["pin"] == pin
    assert rome.condition(NAME, "IdentityVerified") == ("False", "LegacyClusterID")
    assert rome.condition(NAME, "Trusted") == ("True", "CAFromDocument")


async def test_an_id_that_proves_itself_is_not_pinned(world: World) -> None:
    await world.join("rome", "milan")
    await world.run(FEW_SECONDS)
    assert world.is_ready()
    assert "pin" not in status(world.sides["rome"])


async def test_who_takes_a_legacy_id_over_stops_the_peering_and_gets_nothing(world: World) -> None:
    rome = await joined(world)
    theirs = world.sides["milan"].id
    await replace(world)
    await world.run(MINUTES, SECOND)
    milan = world.sides["milan"]
    assert milan.id == theirs
    assert rome.condition(NAME, "Trusted") == CHANGED
    assert rome.condition(NAME, "NodeReady") == CHANGED
    (told,) = (c["message"] for c in status(rome)["conditions"] if c["type"] == "Trusted")
    assert all(text in told for text in (*fingerprints(HONEST), *fingerprints(OTHER), key_of(milan)))
    assert len(rome.virtual_nodes()) == 1
    assert rome.api.seen(ADVERTISEMENT, UUID, NS) is not None
    assert milan.api.objects(FEDERATION_REQUEST) == []


async def test_without_pins_who_takes_a_legacy_id_over_is_the_new_node(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pins, "difference", lambda _known, _shown: "")
    rome = await joined(world)
    await replace(world)
    await world.run(MINUTES, SECOND)
    assert world.is_ready()
    assert len(world.sides["milan"].api.objects(FEDERATION_REQUEST)) == 1
    assert rome.condition(NAME, "Trusted") == ("True", "CAFromDocument")


async def test_the_peering_goes_on_when_a_person_accepts_what_is_shown(world: World) -> None:
    rome = await joined(world)
    await replace(world)
    await world.run(MINUTES, SECOND)
    await accept(rome)
    await world.run(MINUTES, SECOND)
    assert world.is_ready()
    assert status(rome)["pin"]["signingKey"] == key_of(world.sides["milan"])
    assert "shown" not in status(rome)
    assert rome.condition(NAME, "Trusted") == ("True", "CAFromDocument")


async def test_the_peering_goes_on_by_itself_when_the_old_one_is_back(world: World) -> None:
    await joined(world)
    old = await replace(world)
    await world.run(MINUTES, SECOND)
    await world.sides["milan"].stop()
    world.sides["milan"] = old
    await old.start()
    await world.run(MINUTES, SECOND)
    assert world.is_ready()


async def test_a_pin_outlives_the_peering(world: World) -> None:
    rome = await joined(world)
    await world.set_spec("rome", NAME, join=False)
    await world.run(FEW_SECONDS)
    await replace(world)
    await world.set_spec("rome", NAME, join=True)
    await world.run(FEW_SECONDS)
    assert rome.condition(NAME, "Trusted") == CHANGED
    assert world.sides["milan"].api.objects(FEDERATION_REQUEST) == []


async def test_another_ca_alone_stops_the_peering_too(world: World) -> None:
    rome = await joined(world)
    milan = world.sides["milan"]
    await milan.stop()
    milan.ca_pem = OTHER
    await milan.start()
    await world.run(MINUTES, SECOND)
    assert rome.condition(NAME, "Trusted") == CHANGED
    assert status(rome)["shown"]["signingKey"] == key_of(milan)
    await accept(rome)
    await world.run(MINUTES, SECOND)
    assert world.is_ready()


async def asks(world: World, *, ca_pem: str = HONEST) -> None:
    """Have rome, whose id is a UUID, join milan."""
    await world.install("rome", 1, legacy_id=UUID, ca_pem=ca_pem)
    await world.join("rome", "milan")
    await world.run(FEW_SECONDS)


async def allow(world: World) -> None:
    """Do what `liqo accept` does."""
    spec = {"clusterID": UUID, "discoveryType": "Manual", "incoming": "Allow", "allowUntrustedCA": True}
    await world.sides["milan"].api.create(FOREIGN_CLUSTER, {"metadata": {"name": NAME}, "spec": spec})


async def list_as_allowed(world: World) -> None:
    spec = {"peeringConfig": {"allowedClusters": [UUID]}}
    await world.sides["milan"].api.patch(CLUSTER_CONFIG, Key("", "clusterconfig"), {"spec": spec})


async def test_a_legacy_id_waits_for_a_person_also_where_it_is_on_the_allow_list(world: World) -> None:
    await list_as_allowed(world)
    await asks(world)
    (request,) = world.sides["milan"].api.objects(FEDERATION_REQUEST)
    assert request["status"]["phase"] == "Pending"
    await allow(world)
    await world.run(FEW_SECONDS)
    assert world.is_ready()
    assert status(world.sides["milan"])["pin"]["caFingerprints"] == fingerprints(HONEST)


async def test_a_listed_legacy_id_whose_key_is_known_needs_no_person(world: World) -> None:
    await asks(world)
    await allow(world)
    await world.run(FEW_SECONDS)
    await world.set_spec("rome", NAME, join=False)
    await world.run(FEW_SECONDS)
    await list_as_allowed(world)
    await world.set_spec("milan", NAME, incoming="Default")
    await world.set_spec("rome", NAME, join=True)
    await world.run(FEW_SECONDS)
    assert world.is_ready()


async def refused(world: World) -> Wire:
    """Have another rome with the same id join; return what rome's person is told."""
    await world.install("rome", 1, legacy_id=UUID, ca_pem=OTHER)
    await world.join("rome", "milan")
    await world.run(FEW_SECONDS)
    conditions: dict[str, Wire] = {c["type"]: c for c in status(world.sides["rome"])["conditions"]}
    return conditions["Requested"]


async def test_another_key_in_the_name_of_a_tenant_is_refused_at_the_gate_and_told(world: World) -> None:
    await asks(world)
    await allow(world)
    await world.run(FEW_SECONDS)
    milan, known = world.sides["milan"], key_of(world.sides["rome"])
    before = [r["metadata"]["name"] for r in milan.api.objects(FEDERATION_REQUEST)]
    requested = await refused(world)
    assert (requested["status"], requested["reason"]) == ("False", "RequestRefused")
    assert known in requested["message"]
    assert f"liqo trust accept {UUID} --key {key_of(world.sides['rome'])}" in requested["message"]
    assert [r["metadata"]["name"] for r in milan.api.objects(FEDERATION_REQUEST)] == before
    assert "PinChanged" in {reason for reason, _ in milan.events.told}


async def test_without_pins_another_key_takes_a_tenant_s_place(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("liqo.peering.gate.known_by", lambda _known: Pin())
    monkeypatch.setattr(pins, "difference", lambda _known, _shown: "")
    await asks(world)
    await allow(world)
    await world.run(FEW_SECONDS)
    await refused(world)
    await world.run(FEW_SECONDS)
    assert world.is_ready()
