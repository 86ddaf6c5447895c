"""Who is asked for what pods abroad use, how often, and what is said where nobody tells."""

from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from liqo.adapters.tracked import TrackedCluster
from liqo.api.kinds import POD, POD_METRICS
from liqo.api.meta import Wire
from liqo.api.names import node_name, remote_namespace
from liqo.app.kubelet import Ways
from liqo.app.stores import make_stores
from liqo.app.usage import FRESH, Usages
from liqo.errors import Absent, Fault, Forbidden, Unreachable
from liqo.node.abroad import Abroad, Place
from liqo.node.networks import Claim
from liqo.runtime.ports import Page, Selection
from manual_clock import ManualClock

HOME_ID, FOREIGN_ID = "a" * 32, "b" * 32
NODE = node_name("milan", FOREIGN_ID)
REMOTE = remote_namespace("shop", HOME_ID)


@dataclass
class Foreign:
    """A foreign cluster that tells what pods use, or fails."""

    fault: Fault | None = None
    fails_in: str = ""  # a namespace; "": everywhere
    asked: list[Selection] = field(default_factory=list)

    async def list(self, selection: Selection, **_options: object) -> Page:
        self.asked.append(selection)
        if self.fault is not None and self.fails_in in ("", selection.namespace):
            raise self.fault
        usage = {"cpu": "500m", "memory": "64Mi"}
        pods = [("web", "main"), ("web", "stranger"), ("stranger", "main")]
        items = [
            {"metadata": {"name": pod}, "containers": [{"name": name, "usage": usage}]} for pod, name in pods
        ]
        return Page(items, "")


@dataclass
class Told:
    """Remembers events."""

    said: list[str] = field(default_factory=list)

    def emit(self, about: Wire, _kind: object, *, reason: str, **_more: object) -> None:
        self.said.append(f"{about['metadata']['name']} {reason}")


def make(foreign: Foreign, *, ready: bool = True) -> tuple[Usages, ManualClock, Told]:
    stores, clock, told = make_stores(), ManualClock(), Told()
    labels = {"liqo.io/type": "virtual-node", "liqo.io/cluster-id": FOREIGN_ID}
    status = {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}
    stores.nodes.replace(
        [{"metadata": {"name": NODE, "labels": labels}, "status": status}, {"metadata": {"name": "real"}}],
        "1",
    )
    places = [
        ("shop", "web", NODE),
        ("shop", "api", NODE),
        ("refused", "web", NODE),
        ("local", "web", "real"),
    ]
    stores.pods.replace(
        [
            {
                "metadata": {"name": name, "namespace": namespace},
                "spec": {"nodeName": node, "containers": [{"name": "main"}]},
                "status": {},
            }
            for namespace, name, node in places
        ],
        "1",
    )
    abroad = Abroad(stores.nodes)
    abroad.told(FOREIGN_ID, {"shop": Place(remote=REMOTE), "refused": Place(reason="Refused")}, Claim())
    clusters: Any = SimpleNamespace(get=lambda *_way: SimpleNamespace(cluster=foreign))
    events: Any = told
    ways = Ways(
        stores=stores, abroad=abroad, clusters=clusters, namespace="liqo", home_id=HOME_ID, leads=lambda: True
    )
    return Usages(ways=ways, events=events, clock=clock), clock, told


async def test_only_places_with_pods_are_asked_and_only_our_containers_count() -> None:
    foreign = Foreign()
    usages, _, told = make(foreign)
    page = await usages.page(NODE)
    assert foreign.asked == [Selection(POD_METRICS, namespace=REMOTE)]
    assert page is not None
    assert '{container="main",namespace="shop",pod="web"}' in page
    assert "stranger" not in page
    assert told.said == []


async def test_nobody_is_asked_while_nobody_asks_and_two_share_one_answer() -> None:
    foreign = Foreign()
    usages, clock, _ = make(foreign)
    await clock.advance(timedelta(hours=1))
    assert foreign.asked == []
    first = await usages.page(NODE)
    await clock.advance(FRESH - timedelta(seconds=1))
    assert await usages.page(NODE) == first
    assert len(foreign.asked) == 1
    await clock.advance(timedelta(seconds=1))
    assert await usages.page(NODE) != first
    assert len(foreign.asked) == 2


@pytest.mark.parametrize("name", ["real", "liqo-nobody-abcdef"])
async def test_what_is_no_virtual_node_has_no_page(name: str) -> None:
    usages, _, _ = make(Foreign())
    assert await usages.page(name) is None


async def test_why_there_is_none_is_said_once_until_it_is_another_reason() -> None:
    foreign = Foreign(Absent("no such page"))
    usages, clock, told = make(foreign)

    async def fails() -> None:
        with pytest.raises(Fault):
            await usages.page(NODE)

    await fails()
    await fails()
    assert told.said == [f"{NODE} NoUsage"]
    foreign.fault = Forbidden("you may not")
    await fails()
    foreign.fault = None
    await usages.page(NODE)
    await clock.advance(FRESH)
    foreign.fault = Forbidden("you may not")
    await fails()
    assert len(told.said) == 3


async def test_one_namespace_that_fails_leaves_out_its_own_pods_only() -> None:
    foreign = Foreign(Forbidden("not any more"), fails_in="ending-there")
    usages, clock, told = make(foreign)
    places = {"shop": Place(remote=REMOTE), "refused": Place(remote="ending-there")}
    usages.ways.abroad.told(FOREIGN_ID, places, Claim())
    page = await usages.page(NODE)
    assert page is not None
    assert 'namespace="shop"' in page
    assert 'namespace="refused"' not in page
    assert told.said == []
    foreign.fault = None
    await clock.advance(FRESH)
    page = await usages.page(NODE)
    assert page is not None
    assert 'namespace="refused"' in page


async def test_that_a_cluster_is_away_is_the_node_s_own_word() -> None:
    usages, _, told = make(Foreign(Unreachable("no route")), ready=False)
    with pytest.raises(Unreachable):
        await usages.page(NODE)
    assert told.said == []


@pytest.mark.parametrize("fault", [Unreachable("503"), Forbidden("403"), Absent("404")])
async def test_a_cluster_whose_metrics_server_fails_is_not_away_for_that(fault: Fault) -> None:
    inner: Any = Foreign(fault)
    noted: list[Fault | None] = []
    cluster = TrackedCluster(inner, noted.append, lambda: None)
    with pytest.raises(type(fault)):
        await cluster.list(Selection(POD_METRICS, namespace=REMOTE))
    assert noted == []
    with pytest.raises(type(fault)):
        await cluster.list(Selection(POD, namespace=REMOTE))
    assert (noted == [fault]) is not isinstance(fault, Forbidden)
