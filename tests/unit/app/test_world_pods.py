"""Pods of one cluster that run on the other, in memory, whatever happens to them there."""

from datetime import timedelta

import pytest

from liqo.api.kinds import POD
from liqo.api.meta import Key, Kind, Wire, is_ready
from liqo.api.names import STAYS_ANNOTATION
from liqo.errors import Fault, Unreachable
from memory_cluster import MemoryCluster
from world import World
from world_pods import SHOP, WEB, Offloading

FEW_SECONDS = timedelta(seconds=5)


@pytest.fixture
async def offloading(world: World) -> Offloading:
    made = Offloading(world)
    await made.begin()
    return made


async def test_a_pod_runs_abroad_and_goes_with_its_original(offloading: Offloading) -> None:
    await offloading.bind()
    await offloading.run(FEW_SECONDS)
    assert offloading.runs_once()
    await offloading.rome.api.delete(POD, WEB)
    await offloading.run(FEW_SECONDS)
    assert offloading.at_home() is None
    assert offloading.abroad() == []


async def test_one_that_is_deleted_abroad_before_it_ran_is_made_again(offloading: Offloading) -> None:
    offloading.kubelet_works = False
    await offloading.bind()
    await offloading.run(FEW_SECONDS)
    (remote,) = offloading.abroad()
    await offloading.milan.api.delete(POD, Key.of(remote))
    offloading.kubelet_works = True
    await offloading.run(FEW_SECONDS)
    assert offloading.runs_once()


async def test_one_that_is_deleted_abroad_before_anybody_saw_it_is_made_again(offloading: Offloading) -> None:
    def blind(verb: str, kind: Kind) -> Fault | None:
        return Unreachable("cut") if kind is POD and verb in {"watch", "list"} else None

    await offloading.bind(Key(SHOP, "other"))  # so that there is a watch
    await offloading.run(FEW_SECONDS)
    offloading.kubelet_works, api = False, offloading.milan.api
    api.fail = blind
    api.end_watches()
    await offloading.bind()
    await offloading.run(timedelta(milliseconds=250))
    (remote,) = [p for p in offloading.abroad() if p["metadata"]["name"] == WEB.name]
    await api.delete(POD, Key.of(remote))
    api.compact()  # so that only a new list can tell, and that knows nothing of it
    api.fail = lambda _verb, _kind: None
    offloading.kubelet_works = True
    await offloading.run(timedelta(seconds=30))
    assert offloading.runs_once()


@pytest.mark.parametrize("answered", [True, False])
async def test_one_is_created_once_while_the_watch_tells_nothing(
    world: World, offloading: Offloading, monkeypatch: pytest.MonkeyPatch, *, answered: bool
) -> None:
    """A second try would count against paris's quota, and stay so for minutes; that milan has none changes nothing."""
    await world.install("paris", 3)
    await world.join("rome", "paris", "paris")
    await offloading.run(FEW_SECONDS)
    await offloading.bind(Key(SHOP, "other"), "paris")  # so that there is a watch
    await offloading.run(FEW_SECONDS)
    paris, create = world.sides["paris"], MemoryCluster.create
    api = paris.api

    async def unanswered(cluster: MemoryCluster, kind: Kind, obj: Wire) -> Wire:
        made = await create(cluster, kind, obj)
        if cluster is api and not answered:
            raise Unreachable("cut")
        return made

    monkeypatch.setattr(MemoryCluster, "create", unanswered)
    api.fail = lambda verb, kind: Unreachable("cut") if kind is POD and verb in {"watch", "list"} else None
    api.end_watches()
    await offloading.bind(where="paris")
    for number in range(5):
        await offloading.run(FEW_SECONDS)
        note = {"metadata": {"annotations": {"number": str(number)}}}
        await offloading.rome.api.patch(POD, WEB, note)
    created = [key.name for verb, kind, key in api.calls if (verb, kind) == ("create", POD) and key]
    assert created == ["other", WEB.name]
    api.fail = lambda _verb, _kind: None
    await offloading.run(timedelta(seconds=30))
    offloading.milan = paris
    assert offloading.runs_once()


async def test_a_slow_cluster_holds_up_its_own_pods_only(world: World, offloading: Offloading) -> None:
    many, quick = 200, Key(SHOP, "quick")
    await world.install("paris", 3)
    await world.join("rome", "paris", "paris")
    await offloading.run(FEW_SECONDS)
    offloading.milan.lag = FEW_SECONDS
    for number in range(many):
        await offloading.bind(Key(SHOP, f"slow-{number}"), "milan")
    await offloading.bind(quick, "paris")
    await offloading.run(timedelta(seconds=3))
    found = offloading.at_home(quick)
    assert found is not None
    assert found["status"]["phase"] == "Running"
    assert offloading.abroad() == []
    await offloading.run(timedelta(minutes=1), timedelta(seconds=2))
    assert len(offloading.abroad()) == many


async def test_that_a_cluster_fell_silent_is_told_of_its_pods_though_a_crowd_waits_for_its_answers(
    offloading: Offloading,
) -> None:
    await offloading.bind()
    await offloading.run(FEW_SECONDS)
    assert offloading.runs_once()
    offloading.milan.lag = timedelta(minutes=1)
    for number in range(100):
        await offloading.bind(Key(SHOP, f"slow-{number}"))
    await offloading.run(FEW_SECONDS)
    offloading.milan.down = True
    await offloading.run(timedelta(seconds=15))
    home = offloading.at_home()
    assert home is not None
    assert not is_ready(home)


WHY = "volume disk is a persistentVolumeClaim"


@pytest.mark.parametrize(("node", "told"), [("", True), ("rome-1", False)])
async def test_a_pod_that_only_runs_here_and_finds_no_node_says_so(
    offloading: Offloading, node: str, *, told: bool
) -> None:
    meta = {"namespace": SHOP, "name": "web", "annotations": {STAYS_ANNOTATION: WHY}}
    spec: Wire = {"containers": [{"name": "web", "image": "web:1"}], **({"nodeName": node} if node else {})}
    await offloading.rome.api.create(POD, {"metadata": meta, "spec": spec})
    await offloading.run(FEW_SECONDS)
    said = [message for reason, message in offloading.rome.events.told if reason == "NotOffloadable"]
    assert said == ([f"only a node of this cluster can take it, and none does: {WHY}"] if told else [])
