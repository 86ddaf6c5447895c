"""Pods abroad while networks, API servers, nodes and controllers fail.

None runs twice, none is lost, and home tells the truth.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from liqo.lab.lab import LIQO
from offloading import FOREIGN, HOME, Shop, is_ready
from recorder import recorded

pytestmark = pytest.mark.lab

API_SERVER = "kube-apiserver"
AGAIN_SECONDS = 60.0


@pytest.fixture(autouse=True)
def none_runs_twice(shop: Shop, tmp_path: Path) -> Iterator[None]:
    with recorded(shop.peers.lab, FOREIGN, tmp_path / "pods"):
        yield


@pytest.fixture
def running(shop: Shop) -> Shop:
    """Two pods that run abroad."""
    shop.deploy(2)
    shop.peers.until(lambda: shop.is_running(2))
    return shop


def uids(pods: list[Any]) -> set[str]:
    return {p["metadata"]["uid"] for p in pods}


def none_is_ready(shop: Shop) -> bool:
    return not any(is_ready(p) for p in shop.at_home())


def test_a_partition_is_told_at_home_and_ends_nothing(running: Shop) -> None:
    lab, here, there = running.peers.lab, uids(running.at_home()), uids(running.on_foreign())
    lab.partition(HOME, FOREIGN)
    running.peers.until(lambda: none_is_ready(running))
    assert not running.peers.is_ready(HOME)
    assert all(is_ready(p) for p in running.on_foreign())
    lab.heal(HOME, FOREIGN)
    running.peers.until(lambda: running.is_running(2))
    assert (uids(running.at_home()), uids(running.on_foreign())) == (here, there)


def test_a_pod_that_is_deleted_during_a_partition_ends_after_it_and_not_before_on_either_side(
    running: Shop,
) -> None:
    lab, doomed = running.peers.lab, running.at_home()[0]["metadata"]
    lab.partition(HOME, FOREIGN)
    running.peers.until(lambda: not running.peers.is_ready(HOME))
    running.kubectl("delete", "pod", doomed["name"], "--wait=false")
    running.peers.until(lambda: len(running.at_home()) == 3)
    (still,) = [p for p in running.at_home() if p["metadata"]["uid"] == doomed["uid"]]
    assert "deletionTimestamp" in still["metadata"]
    (there,) = [p for p in running.on_foreign() if p["metadata"]["name"] == doomed["name"]]
    assert is_ready(there)
    lab.heal(HOME, FOREIGN)
    running.peers.until(lambda: running.is_running(2))
    assert doomed["uid"] not in uids(running.at_home())


def test_unjoin_while_foreign_is_dead_takes_the_pods_home_and_foreign_forgets_them_later(
    running: Shop,
) -> None:
    peers, old = running.peers, uids(running.at_home())
    with without(running, FOREIGN):
        peers.set_join(HOME, join=False)
        peers.until(lambda: not peers.virtual_nodes(HOME), AGAIN_SECONDS)
        peers.until(lambda: not old & uids(running.at_home()))
        peers.until(lambda: len(running.at_home()) == 2)
        assert {p["spec"].get("nodeName") for p in running.at_home()} == {None}
    peers.until(lambda: peers.is_clean(FOREIGN), AGAIN_SECONDS)


def test_pods_that_are_replaced_during_a_partition_do_not_run_twice_after_it(running: Shop) -> None:
    lab = running.peers.lab
    old = {p["metadata"]["name"] for p in running.at_home()}
    lab.partition(HOME, FOREIGN)
    running.peers.until(lambda: not running.peers.is_ready(HOME))
    doomed = min(old)
    running.kubectl("delete", "pod", doomed, "--force", "--grace-period=0")
    assert {p["metadata"]["name"] for p in running.on_foreign()} == old
    lab.heal(HOME, FOREIGN)
    running.peers.until(lambda: running.is_running(2))
    assert {p["metadata"]["name"] for p in running.on_foreign()} & old == old - {doomed}


def test_pods_of_a_partition_are_created_once_and_count_once(running: Shop) -> None:
    """A quota counts what is refused because it is there already, and finds that out after five minutes."""
    lab, many = running.peers.lab, 40
    lab.partition(HOME, FOREIGN)
    running.kubectl("scale", "deployment", "web", f"--replicas={many}")
    running.peers.until(lambda: not running.peers.is_ready(HOME))
    lab.heal(HOME, FOREIGN)
    running.peers.until(lambda: running.is_running(many))
    (quota,) = running.peers.items(FOREIGN, "resourcequotas", "-n", running.remote)
    assert quota["status"]["used"]["pods"] == str(many)


@contextmanager
def without(shop: Shop, side: str) -> Iterator[None]:
    """Have no API server on one side."""
    shop.peers.lab.kill(side, API_SERVER)
    try:
        yield
    finally:
        shop.peers.lab.start(side)


def test_foreign_s_api_server_goes_and_comes_back(running: Shop) -> None:
    here, there = uids(running.at_home()), uids(running.on_foreign())
    with without(running, FOREIGN):
        running.peers.until(lambda: none_is_ready(running))
        running.kubectl("scale", "deployment", "web", "--replicas=3")
    running.peers.until(lambda: running.is_running(3), AGAIN_SECONDS)
    assert here < uids(running.at_home())
    assert there < uids(running.on_foreign())


def test_home_s_api_server_goes_and_what_happened_abroad_meanwhile_is_told(running: Shop) -> None:
    first, second = running.on_foreign()
    with without(running, HOME):
        lost = first["metadata"]["name"]
        running.peers.lab.kubectl(FOREIGN, "delete", "pod", lost, "-n", first["metadata"]["namespace"])
        assert [p["metadata"]["uid"] for p in running.on_foreign()] == [second["metadata"]["uid"]]
    running.peers.until(lambda: running.phases()[lost] == ("Failed", "TakenAway"), AGAIN_SECONDS)
    running.kubectl("delete", "pod", lost)
    running.peers.until(lambda: running.is_running(2))
    assert second["metadata"]["uid"] in uids(running.on_foreign())


@pytest.mark.parametrize("side", [HOME, FOREIGN])
def test_a_controller_that_is_killed_while_pods_are_made_loses_and_doubles_none(
    shop: Shop, side: str
) -> None:
    lab = shop.peers.lab
    shop.deploy(40)
    shop.peers.until(shop.on_foreign)
    lab.kill(side, LIQO)
    shop.kubectl("scale", "deployment", "web", "--replicas=30")
    lab.start(side, LIQO)
    shop.peers.until(lambda: shop.is_running(30))


def test_a_node_of_foreign_dies_and_what_ran_there_is_made_anew(running: Shop) -> None:
    lab, (pod, _) = running.peers.lab, running.on_foreign()
    old = uids(running.on_foreign())
    name, lost = pod["spec"]["nodeName"], pod["metadata"]["name"]
    node = running.peers.get(FOREIGN, "node", name)
    lab.kubectl(FOREIGN, "delete", "node", name)
    try:
        lab.kubectl(FOREIGN, "delete", "pod", lost, "-n", pod["metadata"]["namespace"], "--force")
        running.peers.until(lambda: running.phases().get(lost) == ("Failed", "TakenAway"))
        running.peers.until(lambda: len([p for p in running.at_home() if is_ready(p)]) == 2)
        (fresh,) = [p for p in running.on_foreign() if p["metadata"]["uid"] not in old]
        assert fresh["spec"]["nodeName"] != name
    finally:
        for field in ("uid", "resourceVersion", "creationTimestamp"):
            del node["metadata"][field]
        lab.kubectl(FOREIGN, "create", "-f", "-", text=json.dumps(node))


def test_a_virtual_node_is_drained_and_taken_into_use_again(running: Shop) -> None:
    lab = running.peers.lab
    (node,) = running.peers.virtual_nodes(HOME)
    name, old = node["metadata"]["name"], uids(running.on_foreign())
    lab.kubectl(HOME, "drain", name, "--ignore-daemonsets", "--timeout=30s")
    running.peers.until(lambda: not running.on_foreign())
    assert running.peers.virtual_nodes(HOME)[0]["spec"]["unschedulable"]
    lab.kubectl(HOME, "uncordon", name)
    running.peers.until(lambda: running.is_running(2))
    assert not old & uids(running.on_foreign())
