"""How a home cluster's namespaces get a place here, step by step, and lose it again."""

import pytest

from liqo.api.cluster_config import ClusterConfigSpec
from liqo.api.kinds import (
    FOREIGN_CLUSTER,
    LIMIT_RANGE,
    NAMESPACE,
    NAMESPACE_MAP,
    NETWORK_POLICY,
    RESOURCE_QUOTA,
    ROLE_BINDING,
)
from liqo.api.meta import Key, Kind, Wire, format_time
from liqo.api.names import POD_CIDRS_ANNOTATION, remote_namespace, tenant_namespace
from liqo.app.stores import Stores, make_stores
from liqo.errors import Fault, Unreachable
from liqo.runtime.loop import Outcome
from liqo.sharing.loop_places import Places
from manual_clock import START, ManualClock
from memory_cluster import MemoryCluster
from world import Quiet

ID = "abcdefghijklmnopqrstuvwxyz234567"
TENANT = tenant_namespace(ID)
REQUESTS = 11  # of the first look at two namespaces: five each, and the status of the map
BOUNDS = (LIMIT_RANGE, NETWORK_POLICY, RESOURCE_QUOTA)


def place_of(name: str) -> str:
    return remote_namespace(name, ID)


class Foreign:
    """A cluster that offered 4 cores to home, its stores, and the controllers of Kubernetes that follow."""

    def __init__(self, stores: Stores) -> None:
        self.cluster = MemoryCluster()
        self.stores = stores
        self.kinds = {
            FOREIGN_CLUSTER: stores.foreigns,
            NAMESPACE: stores.tenants,
            NAMESPACE_MAP: stores.maps,
            RESOURCE_QUOTA: stores.quotas,
        }
        self.config = ClusterConfigSpec()
        self.begin()

    def begin(self) -> None:
        """Have a new process, that remembers nothing."""
        self.places = Places(
            home=self.cluster,
            foreigns=self.stores.foreigns,
            maps=self.stores.maps,
            namespaces=self.stores.tenants,
            quotas=self.stores.quotas,
            nodes=self.stores.nodes,
            config=lambda: self.config,
            own_host=lambda: "198.51.100.1",
            closed=lambda: ["10.96.0.0/12"],
            namespace="liqo",
            events=Quiet(),
            clock=ManualClock(),
        )

    async def offer(self, cpu: str = "4", phase: str = "Offered") -> None:
        incoming = {"phase": phase, "offered": {"cpu": cpu, "memory": "8Gi", "pods": "10"}}
        foreign = {"metadata": {"name": "rome"}, "spec": {"clusterID": ID}, "status": {"incoming": incoming}}
        await self.cluster.apply(FOREIGN_CLUSTER, foreign, manager="test")
        await self.cluster.patch(FOREIGN_CLUSTER, Key("", "rome"), foreign, subresource="status")

    async def ask(self, *names: str, cidrs: tuple[str, ...] = (), **cpu: str) -> None:
        """Have home ask for places, and say how much its pods in some need."""
        needs = [{"name": name, "resources": {"cpu": amount}} for name, amount in cpu.items()]
        spec = {"namespaces": list(names), "podCIDRs": list(cidrs), "needs": needs}
        obj = {"metadata": {"name": ID, "namespace": TENANT}, "spec": spec}
        await self.cluster.apply(NAMESPACE_MAP, obj, manager="home")

    def look(self) -> None:
        """Have the watches tell all that there is."""
        for kind, store in self.kinds.items():
            store.replace(self.cluster.objects(kind), str(self.cluster.revision))

    async def enforce(self) -> None:
        """Have the quota controller follow."""
        for quota in self.cluster.objects(RESOURCE_QUOTA):
            status = {"status": {"hard": quota["spec"]["hard"], "used": {}}}
            await self.cluster.patch(RESOURCE_QUOTA, Key.of(quota), status, subresource="status")

    async def once(self) -> Outcome:
        self.look()
        return await self.places.reconcile(Key("", ID))

    async def rest(self) -> None:
        """Go on until nothing is written any more."""
        for _ in range(10):
            outcome = await self.once()
            await self.enforce()
            if not outcome.writes:
                return
        raise AssertionError("it does not come to rest")

    def mapped(self) -> list[Wire]:
        found = self.cluster.seen(NAMESPACE_MAP, ID, TENANT)
        assert found is not None
        told: list[Wire] = (found.get("status") or {}).get("namespaces") or []
        return told

    def may_write(self, name: str) -> bool:
        """Return whether home has its rights in a place."""
        return any(
            subject["namespace"] == TENANT
            for binding in self.cluster.objects(ROLE_BINDING)
            if binding["metadata"]["namespace"] == place_of(name)
            for subject in binding["subjects"]
        )

    def cpu(self) -> dict[str, str]:
        """Return the quotas' cpu by namespace."""
        return {
            q["metadata"]["namespace"]: q["spec"]["hard"]["requests.cpu"]
            for q in self.cluster.objects(RESOURCE_QUOTA)
        }


@pytest.fixture
def foreign() -> Foreign:
    return Foreign(make_stores())


async def test_one_that_needs_more_than_its_part_gets_it_within_the_offer(foreign: Foreign) -> None:
    await foreign.offer()
    await foreign.ask("shop", "mall")
    await foreign.rest()
    assert foreign.cpu() == {place_of("shop"): "2", place_of("mall"): "2"}
    await foreign.ask("shop", "mall", mall="3")
    await foreign.rest()
    assert foreign.cpu() == {place_of("shop"): "500m", place_of("mall"): "3500m"}
    await foreign.ask("shop", "mall", mall="30")
    await foreign.rest()
    assert foreign.cpu() == {place_of("shop"): "0", place_of("mall"): "4"}


async def test_home_gets_its_rights_only_once_the_quota_is_enforced(foreign: Foreign) -> None:
    await foreign.offer()
    await foreign.ask("shop")
    outcome = await foreign.once()
    assert outcome.outcome == "waiting"
    assert [(m["name"], m["reason"]) for m in foreign.mapped()] == [("shop", "Computing")]
    assert not foreign.may_write("shop")
    for kind in BOUNDS:
        assert foreign.cluster.seen(kind, "liqo", place_of("shop")), kind
    await foreign.enforce()
    assert (await foreign.once()).outcome == "done"
    assert foreign.may_write("shop")
    assert foreign.mapped() == [{"name": "shop", "remote": place_of("shop")}]


async def test_once_all_is_there_nothing_is_written(foreign: Foreign) -> None:
    await foreign.offer()
    await foreign.ask("shop", "bank", cidrs=("10.222.0.0/16",))
    await foreign.rest()
    before = foreign.cluster.writes()
    await foreign.once()
    assert foreign.cluster.writes() == before


async def test_a_new_process_finds_all_as_it_should_be(foreign: Foreign) -> None:
    await foreign.offer()
    await foreign.ask("shop")
    await foreign.rest()
    before = {kind: foreign.cluster.objects(kind) for kind in (NAMESPACE, NAMESPACE_MAP, *BOUNDS)}
    foreign.begin()
    await foreign.rest()
    assert {kind: foreign.cluster.objects(kind) for kind in before} == before


@pytest.mark.parametrize("after", range(REQUESTS))
async def test_one_that_dies_after_any_request_goes_on_to_the_same(foreign: Foreign, after: int) -> None:
    await foreign.offer()
    await foreign.ask("shop", "bank")
    left = iter(range(after))

    def fail(_verb: str, _kind: Kind) -> Fault | None:
        return Unreachable("gone") if next(left, None) is None else None

    foreign.cluster.fail = fail
    with pytest.raises(Unreachable):
        await foreign.once()
    foreign.cluster.fail = lambda _verb, _kind: None
    assert not foreign.may_write("shop")
    foreign.begin()
    await foreign.rest()
    assert [m.get("remote") for m in foreign.mapped()] == [place_of("shop"), place_of("bank")]


async def test_the_offer_is_shared_by_all_places_and_never_exceeded(foreign: Foreign) -> None:
    await foreign.offer()
    await foreign.ask("shop")
    await foreign.rest()
    assert foreign.cpu() == {place_of("shop"): "4"}
    await foreign.ask("shop", "bank")
    await foreign.once()
    assert foreign.cpu() == {
        place_of("shop"): "2",
        place_of("bank"): "0",
    }  # the first has 4 until that is enforced
    await foreign.enforce()
    await foreign.rest()
    assert foreign.cpu() == {place_of("shop"): "2", place_of("bank"): "2"}


async def test_an_offer_that_changes_changes_the_quotas(foreign: Foreign) -> None:
    await foreign.offer()
    await foreign.ask("shop")
    await foreign.rest()
    await foreign.offer(cpu="3")
    await foreign.rest()
    assert foreign.cpu() == {place_of("shop"): "3"}


async def test_a_place_that_is_wanted_no_more_goes_and_its_quota_to_the_others(foreign: Foreign) -> None:
    await foreign.offer()
    await foreign.ask("shop", "bank")
    await foreign.rest()
    await foreign.ask("bank")
    await foreign.once()
    assert foreign.cluster.seen(NAMESPACE, place_of("shop")) is None
    quota = foreign.cluster.seen(RESOURCE_QUOTA, "liqo", place_of("shop"))
    assert quota is not None
    await foreign.cluster.delete(RESOURCE_QUOTA, Key.of(quota))  # as Kubernetes does
    await foreign.rest()
    assert foreign.cpu() == {place_of("bank"): "4"}


async def test_what_still_runs_in_a_place_that_ends_counts(foreign: Foreign) -> None:
    await foreign.offer()
    await foreign.ask("shop", "bank")
    await foreign.rest()
    used = {"status": {"used": {"requests.cpu": "1500m"}}}
    await foreign.cluster.patch(RESOURCE_QUOTA, Key(place_of("shop"), "liqo"), used, subresource="status")
    await foreign.ask("bank")
    await foreign.once()
    assert foreign.cpu()[place_of("bank")] == "2500m"


@pytest.mark.parametrize("phase", ["Accepted", "Ending"])
async def test_who_is_offered_nothing_gets_no_place(foreign: Foreign, phase: str) -> None:
    await foreign.offer(phase=phase)
    await foreign.ask("shop")
    assert (await foreign.once()).writes == 0
    assert foreign.cluster.objects(NAMESPACE) == []


@pytest.mark.parametrize("name", ["kube-system", "liqo-tenant"])
async def test_a_name_of_the_system_s_is_refused_in_words(foreign: Foreign, name: str) -> None:
    await foreign.offer()
    await foreign.ask(name, "shop")
    await foreign.rest()
    refused, taken = foreign.mapped()
    assert refused["reason"] == "NamespaceReserved"
    assert refused["message"]
    assert taken["remote"] == place_of("shop")
    assert len(foreign.cluster.objects(NAMESPACE)) == 1


async def test_a_namespace_of_somebody_else_s_is_left_alone(foreign: Foreign) -> None:
    await foreign.offer()
    theirs = {"metadata": {"name": place_of("shop"), "labels": {"team": "blue"}}}
    await foreign.cluster.create(NAMESPACE, theirs)
    before = foreign.cluster.seen(NAMESPACE, place_of("shop"))
    await foreign.ask("shop")
    await foreign.rest()
    assert [m["reason"] for m in foreign.mapped()] == ["NamespaceTaken"]
    assert foreign.cluster.seen(NAMESPACE, place_of("shop")) == before
    assert all(foreign.cluster.objects(kind) == [] for kind in (*BOUNDS, ROLE_BINDING))


async def test_a_place_that_is_still_being_deleted_is_waited_for(foreign: Foreign) -> None:
    await foreign.offer()
    await foreign.ask("shop")
    await foreign.rest()
    ends = {"metadata": {"finalizers": ["kubernetes"], "deletionTimestamp": format_time(START)}}
    await foreign.cluster.patch(NAMESPACE, Key("", place_of("shop")), ends)
    await foreign.once()
    assert [m["reason"] for m in foreign.mapped()] == ["NamespaceEnding"]


async def test_one_namespace_that_is_asked_for_twice_is_one(foreign: Foreign) -> None:
    await foreign.offer()
    await foreign.ask("shop", "shop")
    await foreign.rest()
    assert foreign.mapped() == [{"name": "shop", "remote": place_of("shop")}]
    assert foreign.cpu() == {place_of("shop"): "4"}


async def test_only_pod_networks_that_are_believed_are_noted_on_a_place(foreign: Foreign) -> None:
    await foreign.offer()
    await foreign.ask(
        "shop", cidrs=("10.222.0.0/16", "0.0.0.0/0", "127.0.0.0/8", "198.51.100.0/24", "10.99.0.0/24", "x")
    )
    await foreign.rest()
    place = foreign.cluster.seen(NAMESPACE, place_of("shop"))
    assert place is not None
    assert place["metadata"]["annotations"] == {POD_CIDRS_ANNOTATION: "10.222.0.0/16"}
    await foreign.ask("shop")
    await foreign.rest()
    place = foreign.cluster.seen(NAMESPACE, place_of("shop"))
    assert place is not None
    assert not place["metadata"].get("annotations")


async def test_a_cluster_that_lets_pods_reach_all_opens_the_policies_that_are_there(foreign: Foreign) -> None:
    await foreign.offer()
    await foreign.ask("shop")
    await foreign.rest()
    foreign.config = ClusterConfigSpec.parse({"peeringConfig": {"privateEgress": True}})
    await foreign.rest()
    policy = foreign.cluster.seen(NETWORK_POLICY, "liqo", place_of("shop"))
    assert policy is not None
    assert policy["spec"]["egress"] == [{}]


async def test_a_new_node_is_closed_in_the_policies_that_are_there(foreign: Foreign) -> None:
    await foreign.offer()
    await foreign.ask("shop")
    await foreign.rest()
    address = {"type": "ExternalIP", "address": "203.0.113.9"}
    foreign.stores.nodes.replace(
        [{"metadata": {"name": "n", "uid": "1", "resourceVersion": "1"}, "status": {"addresses": [address]}}],
        "1",
    )
    await foreign.rest()
    policy = foreign.cluster.seen(NETWORK_POLICY, "liqo", place_of("shop"))
    assert policy is not None
    assert "203.0.113.9/32" in policy["spec"]["egress"][-1]["to"][0]["ipBlock"]["except"]
