"""Whole peerings between two clusters in memory, from the seed's YAML to a Ready node and back."""

from datetime import timedelta
from typing import Any

import pytest

from liqo.adapters.transport import TIMEOUT
from liqo.api.kinds import (
    ADVERTISEMENT,
    CLUSTER_CONFIG,
    FEDERATION_REQUEST,
    FOREIGN_CLUSTER,
    NAMESPACE,
    NODE,
)
from liqo.api.meta import Key, Kind, Wire
from liqo.errors import Unreachable
from liqo.peering import places
from liqo.peering.incoming import CALL_BACK_WITHIN
from memory_cluster import MemoryCluster
from world import NS, Guarded, World

FEW_SECONDS = timedelta(seconds=5)
REGION = "topology.kubernetes.io/region"


async def test_the_seed_s_yaml_becomes_a_ready_node(world: World) -> None:
    await world.join("rome", "milan")
    await world.run(FEW_SECONDS)
    (node,) = world.sides["rome"].virtual_nodes()
    assert node["metadata"]["name"] == f"liqo-milan-{world.sides['milan'].id[:6]}"
    assert node["status"]["allocatable"] == {"cpu": "1200m", "memory": "2457Mi", "pods": "33"}
    assert world.is_ready()
    made = world.sides["milan"].foreign(world.sides["rome"].id)
    assert made is not None
    assert made["spec"]["discoveryType"] == "IncomingPeering"
    assert made["status"]["incoming"]["phase"] == "Offered"


async def test_a_label_that_no_node_of_foreign_has_any_more_goes_and_the_offer_still_follows(
    world: World,
) -> None:
    rome, milan, node = world.sides["rome"], world.sides["milan"], Key("", "milan-1")
    await milan.api.patch(NODE, node, {"metadata": {"labels": {REGION: "a"}}})
    await world.join("rome", "milan")
    await world.run(FEW_SECONDS)
    (shown,) = rome.virtual_nodes()
    assert shown["metadata"]["labels"][REGION] == "a"
    more = {"metadata": {"labels": {REGION: None}}, "status": {"allocatable": {"cpu": "8"}}}
    for subresource in ("", "status"):
        await milan.api.patch(NODE, node, more, subresource=subresource)
    await world.run(FEW_SECONDS)
    (shown,) = rome.virtual_nodes()
    assert REGION not in shown["metadata"]["labels"]
    assert shown["status"]["allocatable"]["cpu"] == "2400m"


async def test_an_id_that_is_not_said_is_learnt(world: World) -> None:
    await world.join("rome", "milan")
    rome, milan = world.sides["rome"], world.sides["milan"]
    await rome.api.delete(FOREIGN_CLUSTER, Key("", "foreign-cluster"))
    await world.run(FEW_SECONDS)
    spec = {"join": True, "apiUrl": milan.server, "allowUntrustedCA": True, "namespace": NS}
    await rome.api.create(FOREIGN_CLUSTER, {"metadata": {"name": "foreign-cluster"}, "spec": spec})
    await world.run(FEW_SECONDS)
    found = rome.foreign("foreign-cluster")
    assert found is not None
    assert found["spec"]["clusterID"] == milan.id
    assert world.is_ready()


async def test_unjoin_leaves_nothing_on_either_side(world: World) -> None:
    await world.join("rome", "milan")
    await world.run(FEW_SECONDS)
    assert world.leftovers()
    await world.set_spec("rome", "foreign-cluster", join=False)
    await world.run(FEW_SECONDS)
    assert world.leftovers() == {}
    assert world.sides["milan"].api.objects(FOREIGN_CLUSTER) == []
    found = world.sides["rome"].foreign("foreign-cluster")
    assert found is not None
    assert "finalizers" not in found["metadata"]


async def test_deleting_the_foreign_cluster_is_unjoining(world: World) -> None:
    await world.join("rome", "milan")
    await world.run(FEW_SECONDS)
    await world.sides["rome"].api.delete(FOREIGN_CLUSTER, Key("", "foreign-cluster"))
    await world.run(FEW_SECONDS)
    assert world.leftovers() == {}
    assert world.sides["rome"].foreign("foreign-cluster") is None


async def test_both_join_at_once_and_unjoining_one_way_leaves_the_other(world: World) -> None:
    await world.join("rome", "milan")
    await world.join("milan", "rome")
    await world.run(FEW_SECONDS)
    assert len(world.sides["rome"].virtual_nodes()) == 1
    assert len(world.sides["milan"].virtual_nodes()) == 1
    for side in world.sides.values():
        assert len(side.api.objects(FOREIGN_CLUSTER)) == 1
    await world.set_spec("milan", "foreign-cluster", join=False)
    await world.run(FEW_SECONDS)
    assert world.is_ready()
    assert world.sides["milan"].virtual_nodes() == []


async def test_a_manual_one_takes_over_what_an_incoming_one_had(world: World) -> None:
    await world.join("rome", "milan")
    await world.run(FEW_SECONDS)
    await world.join("milan", "rome", "by-hand")
    await world.run(FEW_SECONDS)
    (only,) = world.sides["milan"].api.objects(FOREIGN_CLUSTER)
    assert only["metadata"]["name"] == "by-hand"
    assert only["status"]["incoming"]["phase"] == "Offered"
    assert world.is_ready()


async def test_twenty_times_join_and_unjoin_grows_nothing(world: World) -> None:
    await world.join("rome", "milan")
    await world.run(FEW_SECONDS)
    for _ in range(20):
        await world.set_spec("rome", "foreign-cluster", join=False)
        await world.run(FEW_SECONDS)
        assert world.leftovers() == {}
        await world.set_spec("rome", "foreign-cluster", join=True)
        await world.run(FEW_SECONDS)
        assert world.is_ready()


async def test_tokens_are_renewed_over_many_lifetimes_without_a_new_request(world: World) -> None:
    world.longest_token = timedelta(minutes=1)
    await world.join("rome", "milan")
    await world.run(FEW_SECONDS)
    (request,) = world.sides["milan"].api.objects(FEDERATION_REQUEST)
    for _ in range(8):
        await world.run(world.longest_token, timedelta(seconds=5))
        assert world.is_ready()
    (later,) = world.sides["milan"].api.objects(FEDERATION_REQUEST)
    assert later["metadata"]["uid"] == request["metadata"]["uid"]


async def test_a_first_answer_that_gets_lost_on_each_new_connection_is_no_news_of_its_cluster(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: set[Guarded] = set()
    fetch = Guarded.fetch

    async def lossy(to: Guarded, path: str, *, within: timedelta | None = None) -> Wire:
        if to not in asked:
            asked.add(to)
            raise Unreachable("lost")
        return await fetch(to, path, within=within)

    def since() -> str:
        (node,) = world.sides["rome"].virtual_nodes()
        return str(
            next(c["lastTransitionTime"] for c in node["status"]["conditions"] if c["type"] == "Ready")
        )

    monkeypatch.setattr(Guarded, "fetch", lossy)
    world.longest_token = timedelta(minutes=1)
    await world.join("rome", "milan")
    await world.run(FEW_SECONDS)
    before = since()
    await world.run(world.longest_token * 4, timedelta(seconds=5))
    assert len(asked) > 4  # each token has a connection of its own
    assert world.is_ready()
    assert since() == before


async def test_an_unjoin_counts_how_long_a_cluster_swallows_what_it_is_asked(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete, api = MemoryCluster.delete, world.sides["milan"].api

    async def swallowed(cluster: MemoryCluster, kind: Kind, key: Key, **options: Any) -> None:
        if cluster is api and kind is FEDERATION_REQUEST:
            await world.clock.sleep(TIMEOUT)
            raise Unreachable("cut")
        await delete(cluster, kind, key, **options)

    await world.join("rome", "milan")
    await world.run(FEW_SECONDS)
    monkeypatch.setattr(MemoryCluster, "delete", swallowed)
    await world.set_spec("rome", "foreign-cluster", join=False)
    await world.run(timedelta(seconds=30), timedelta(seconds=1))
    assert [what for what in world.leftovers() if what.startswith("rome/")] == []


async def test_a_peering_recovers_from_tokens_that_ended_on_both_sides(world: World) -> None:
    world.longest_token = timedelta(minutes=2)
    await world.join("rome", "milan")
    await world.run(FEW_SECONDS)
    for side in world.sides.values():
        await side.stop()
    await world.run(world.longest_token * 2, timedelta(minutes=1))
    for side in world.sides.values():
        await side.start()
    await world.run(timedelta(minutes=3), timedelta(seconds=1))
    assert world.is_ready()


async def test_a_foreign_cluster_that_is_away_makes_the_node_not_ready_and_back(world: World) -> None:
    await world.join("rome", "milan")
    await world.run(FEW_SECONDS)
    rome, milan = world.sides["rome"], world.sides["milan"]
    milan.down = True
    await world.run(timedelta(seconds=20))
    assert rome.condition("foreign-cluster", "NodeReady") == ("False", "ForeignAway")
    assert len(rome.virtual_nodes()) == 1
    milan.down = False
    await world.run(timedelta(seconds=20))
    assert world.is_ready()


async def test_unjoining_a_dead_cluster_ends_within_half_a_minute(world: World) -> None:
    await world.join("rome", "milan")
    await world.run(FEW_SECONDS)
    world.sides["milan"].down = True
    await world.set_spec("rome", "foreign-cluster", join=False)
    await world.run(timedelta(seconds=29))
    assert not [name for name in world.leftovers() if name.startswith("rome/")]


async def test_denying_a_dead_home_ends_within_half_a_minute(world: World) -> None:
    await world.join("rome", "milan")
    await world.run(FEW_SECONDS)
    await world.sides["rome"].stop()
    world.sides["rome"].down = True
    await world.set_spec("milan", world.sides["rome"].id, incoming="Deny")
    await world.run(timedelta(seconds=29))
    assert not [name for name in world.leftovers() if name.startswith("milan/")]


async def test_foreign_forgets_a_home_that_left_while_it_was_away(world: World) -> None:
    await world.join("rome", "milan")
    await world.run(FEW_SECONDS)
    await world.sides["milan"].stop()
    world.sides["milan"].down = True
    await world.set_spec("rome", "foreign-cluster", join=False)
    await world.run(timedelta(seconds=40))
    world.sides["milan"].down = False
    await world.sides["milan"].start()
    await world.run(timedelta(minutes=3), timedelta(seconds=1))
    assert world.leftovers() == {}


async def test_a_denied_home_sees_why_and_nothing_is_left(world: World) -> None:
    await world.join("rome", "milan")
    await world.run(FEW_SECONDS)
    rome, milan = world.sides["rome"], world.sides["milan"]
    await world.set_spec("milan", rome.id, incoming="Deny")
    await world.run(FEW_SECONDS)
    assert rome.condition("foreign-cluster", "Accepted") == ("False", "Denied")
    assert world.leftovers() == {}
    kept = milan.foreign(rome.id)
    assert kept is not None
    assert kept["spec"]["incoming"] == "Deny"


async def test_manual_policy_waits_for_a_person_and_goes_on(world: World) -> None:
    rome, milan = world.sides["rome"], world.sides["milan"]
    manual: Wire = {"spec": {"peeringConfig": {"requestPolicy": "Manual"}}}
    await milan.api.patch(CLUSTER_CONFIG, Key("", "clusterconfig"), manual)
    await world.join("rome", "milan")
    await world.run(timedelta(seconds=15))
    assert rome.condition("foreign-cluster", "Accepted") == ("Unknown", "Pending")
    (request,) = milan.api.objects(FEDERATION_REQUEST)
    assert request["status"]["phase"] == "Pending"
    assert milan.api.objects(NAMESPACE) == []
    allow = {"spec": {"peeringConfig": {"allowedClusters": [rome.id]}}}
    await milan.api.patch(CLUSTER_CONFIG, Key("", "clusterconfig"), allow)
    await world.run(FEW_SECONDS)
    assert world.is_ready()


async def test_whom_a_person_accepted_is_called_back_until_he_answers(world: World) -> None:
    rome, milan = world.sides["rome"], world.sides["milan"]
    await milan.api.patch(
        CLUSTER_CONFIG, Key("", "clusterconfig"), {"spec": {"peeringConfig": {"requestPolicy": "Manual"}}}
    )
    await world.join("rome", "milan")
    await world.run(FEW_SECONDS)
    rome.down = True
    allow = {"spec": {"peeringConfig": {"allowedClusters": [rome.id]}}}
    await milan.api.patch(CLUSTER_CONFIG, Key("", "clusterconfig"), allow)
    await world.run(timedelta(minutes=10), timedelta(seconds=1))
    (request,) = milan.api.objects(FEDERATION_REQUEST)
    assert request["status"]["reason"] == "CallBackFailed"
    rome.down = False
    await world.run(timedelta(minutes=2), timedelta(seconds=1))
    assert world.is_ready()


async def test_whose_turn_to_be_called_back_does_not_come_in_time_leaves_his_place(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    rome, milan = world.sides["rome"], world.sides["milan"]
    monkeypatch.setattr(places, "SAME_ADDRESS_MAX", 0)  # as if others were called there and never answered
    await world.join("rome", "milan")
    await world.run(FEW_SECONDS)
    (request,) = milan.api.objects(FEDERATION_REQUEST)
    assert request["status"]["reason"] == "TooManyCallBacks"
    await rome.stop()  # it sends no other one, which would take this one's place
    await world.run(CALL_BACK_WITHIN, timedelta(seconds=1))
    assert milan.api.objects(FEDERATION_REQUEST) == []
    monkeypatch.undo()
    await rome.start()
    await world.run(timedelta(minutes=3), timedelta(seconds=1))
    assert world.is_ready()


async def test_an_advertisement_deleted_by_hand_comes_back(world: World) -> None:
    await world.join("rome", "milan")
    await world.run(FEW_SECONDS)
    await world.sides["rome"].api.delete(ADVERTISEMENT, Key(NS, world.sides["milan"].id))
    await world.run(FEW_SECONDS)
    assert world.sides["rome"].api.objects(ADVERTISEMENT)
    assert world.is_ready()


async def test_a_request_deleted_by_hand_is_made_again(world: World) -> None:
    await world.join("rome", "milan")
    await world.run(FEW_SECONDS)
    (request,) = world.sides["milan"].api.objects(FEDERATION_REQUEST)
    await world.sides["milan"].api.delete(FEDERATION_REQUEST, Key.of(request))
    await world.run(timedelta(minutes=3), timedelta(seconds=1))
    assert world.is_ready()


async def test_a_smaller_offer_makes_a_smaller_node(world: World) -> None:
    await world.join("rome", "milan")
    await world.run(FEW_SECONDS)
    half = {"spec": {"advertisementConfig": {"outgoing": {"resourceSharingPercentage": 15}}}}
    await world.sides["milan"].api.patch(CLUSTER_CONFIG, Key("", "clusterconfig"), half)
    await world.run(FEW_SECONDS)
    (node,) = world.sides["rome"].virtual_nodes()
    assert node["status"]["allocatable"]["cpu"] == "600m"


async def test_a_request_that_does_not_get_through_says_why_and_gets_through_later(world: World) -> None:
    rome, milan = world.sides["rome"], world.sides["milan"]
    gate, milan.gate = milan.gate, None  # its webhook does not answer; its API server does
    await world.join("rome", "milan")
    await world.run(FEW_SECONDS)
    assert rome.condition("foreign-cluster", "Requested") == ("False", "Unreachable")
    milan.gate = gate
    await world.run(timedelta(seconds=10))
    assert world.is_ready()
