"""Pods of home that run on foreign, on fake nodes: what they say, and what becomes of them when things go wrong."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from e2e_peers import Peers
from liqo.api.quantity import format_quantity, parse_quantity
from offloading import FOREIGN, HOME, Shop

pytestmark = pytest.mark.lab


def test_a_deployment_runs_on_foreign_and_looks_local(shop: Shop) -> None:
    shop.deploy(3)
    shop.peers.until(lambda: shop.is_running(3))
    home = {p["metadata"]["name"]: p for p in shop.at_home()}
    for remote in shop.on_foreign():
        local = home[remote["metadata"]["name"]]
        for field in ("phase", "podIP", "startTime"):
            assert local["status"][field] == remote["status"][field]
        assert local["status"]["containerStatuses"] == remote["status"]["containerStatuses"]
        assert remote["spec"]["automountServiceAccountToken"] is False
        assert "ownerReferences" not in remote["metadata"]
    shop.kubectl("scale", "deployment", "web", "--replicas=1")
    shop.peers.until(lambda: shop.is_running(1))


def test_a_pod_that_foreign_takes_away_fails_and_is_replaced(shop: Shop) -> None:
    shop.deploy(1)
    shop.peers.until(lambda: shop.is_running(1))
    (before,) = shop.at_home()
    name = before["metadata"]["name"]
    shop.peers.lab.kubectl(FOREIGN, "delete", "pod", name, "-n", shop.remote)
    shop.peers.until(lambda: shop.phases().get(name) == ("Failed", "TakenAway"))
    shop.peers.until(lambda: sorted(shop.phases().values()) == [("Failed", "TakenAway"), ("Running", "")])
    assert [p["metadata"]["name"] for p in shop.on_foreign()] != [name]


def test_a_pod_that_cannot_go_says_why_and_others_go_on(shop: Shop) -> None:
    shop.pod("disk", volumes=[{"name": "host", "hostPath": {"path": "/"}}])
    shop.deploy(1)
    assert _why(shop, "disk", "NotOffloadable") == (
        "volume host is a hostPath; only configMap, downwardAPI, emptyDir, projected, secret can be had abroad"
    )
    shop.peers.until(lambda: len(shop.on_foreign()) == 1)
    shop.peers.until(lambda: "NotOffloadable" in _told(shop, "disk"))
    shop.kubectl("delete", "pod", "disk", "--timeout=20s")


def test_a_deployment_whose_pods_cannot_go_says_why(shop: Shop) -> None:
    token = {"sources": [{"serviceAccountToken": {"path": "token"}}]}
    volumes = [{"name": "vault", "projected": token}]
    shop.deploy(1, tolerations=[], volumes=volumes)
    shop.peers.until(shop.at_home)
    (pod,) = shop.at_home()
    assert "vault" in pod["metadata"]["annotations"]["liqo.io/stays-home"]
    shop.peers.until(lambda: "NotOffloadable" in _told(shop, pod["metadata"]["name"]))
    shop.peers.until(lambda: not shop.on_foreign())


def test_a_pod_that_asks_for_more_than_an_equal_part_of_the_offer_runs(shop: Shop) -> None:
    """Quotas of two namespaces share the offer, and the scheduler at home knows of the whole of it only."""
    other = shop.other(f"{shop.name}-too")
    shop.peers.until(lambda: other.remote)
    (node,) = shop.peers.items(HOME, "nodes", "-l", "liqo.io/type=virtual-node")
    whole = parse_quantity(node["status"]["allocatable"]["cpu"])
    asked = {"requests": {"cpu": format_quantity("cpu", whole * 3 // 4)}}
    shop.pod("big", containers=[{"name": "web", "image": "web:1", "resources": asked}])
    shop.peers.until(lambda: shop.is_running(1))
    other.pod("small")
    shop.peers.until(lambda: other.is_running(1))


def test_what_foreign_refuses_is_told_in_its_words(shop: Shop) -> None:
    shop.pod("root", containers=[{"name": "web", "image": "web:1", "securityContext": {"privileged": True}}])
    shop.peers.until(lambda: "PodSecurity" in _why(shop, "root", "RefusedThere"))


def _told(shop: Shop, name: str) -> set[str]:
    """Return the reasons of the events about a pod."""
    mine = ("-n", shop.name, "--field-selector", f"involvedObject.name={name}")
    return {e["reason"] for e in shop.peers.items(HOME, "events", *mine)}


def _why(shop: Shop, name: str, reason: str) -> str:
    """Return in words why a pod waits, once it does for that reason; its namespace may have no place at first."""
    shop.peers.until(lambda: shop.waiting(name)[0] == reason)
    return shop.waiting(name)[1]


def test_a_pod_that_is_over_stays_over(shop: Shop) -> None:
    shop.pod("work", restartPolicy="Never")
    shop.peers.until(lambda: shop.is_running(1))
    done = {"terminated": {"exitCode": 0, "reason": "Completed"}}
    status = {"phase": "Succeeded", "containerStatuses": [{"name": "web", "state": done}]}
    shop.peers.lab.kubectl(
        FOREIGN,
        *("patch", "pod", "work", "-n", shop.remote, "--subresource=status"),
        *("--type", "strategic", "-p", json.dumps({"status": status})),
    )
    shop.peers.until(lambda: shop.phases() == {"work": ("Succeeded", "")})
    shop.peers.lab.kubectl(FOREIGN, "delete", "pod", "work", "-n", shop.remote)
    shop.peers.until(lambda: not shop.on_foreign())
    shop.kubectl("annotate", "pod", "work", "look=again")
    shop.deploy(1)
    shop.peers.until(lambda: len(shop.on_foreign()) == 1)
    assert shop.phases()["work"] == ("Succeeded", "")


def test_what_pods_refer_to_goes_along_follows_and_goes_again(shop: Shop) -> None:
    for name in ("used", "other"):
        shop.kubectl("create", "configmap", name, "--from-literal=color=red")
        shop.kubectl("create", "secret", "generic", name, "--from-literal=word=sesame")
    sources = [{"configMapRef": {"name": "used"}}, {"secretRef": {"name": "used"}}]
    shop.deploy(2, containers=[{"name": "web", "image": "web:1", "envFrom": sources}])
    shop.peers.until(lambda: shop.is_running(2))
    assert _contents(shop) == {
        "configmaps": {"used": {"color": "red"}},
        "secrets": {"used": {"word": "c2VzYW1l"}},
    }
    shop.kubectl("patch", "configmap", "used", "-p", '{"data": {"color": "blue"}}')
    shop.kubectl("patch", "secret", "used", "-p", '{"stringData": {"word": "simsim"}}')
    shop.peers.until(
        lambda: (
            _contents(shop)
            == {"configmaps": {"used": {"color": "blue"}}, "secrets": {"used": {"word": "c2ltc2lt"}}}
        )
    )
    shop.kubectl("delete", "deployment", "web")
    shop.peers.until(lambda: _contents(shop) == {"configmaps": {}, "secrets": {}})


def test_a_pull_secret_goes_along_as_what_it_is_and_goes_again(shop: Shop) -> None:
    login = ("--docker-server=registry.example.org", "--docker-username=me", "--docker-password=sesame")
    shop.kubectl("create", "secret", "docker-registry", "login", *login)
    shop.pod("web", imagePullSecrets=[{"name": "login"}])
    shop.peers.until(lambda: shop.is_running(1))
    (pod,) = shop.on_foreign()
    assert pod["spec"]["imagePullSecrets"] == [{"name": "login"}]
    (there,) = _secrets(shop)
    (here,) = shop.peers.items(HOME, "secrets", "-n", shop.name)
    assert there["type"] == "kubernetes.io/dockerconfigjson"
    assert there["data"] == here["data"]
    shop.kubectl("delete", "pod", "web")
    shop.peers.until(lambda: not _secrets(shop))


def _secrets(shop: Shop) -> list[Any]:
    """Return the Secrets that came from home."""
    return [
        s for s in shop.peers.items(FOREIGN, "secrets", "-n", shop.remote) if s["metadata"]["name"] == "login"
    ]


def test_a_projected_token_is_told_to_be_impossible(shop: Shop) -> None:
    source = {"serviceAccountToken": {"path": "token"}}
    shop.pod("asks", volumes=[{"name": "t", "projected": {"sources": [source]}}])
    assert "serviceAccountToken" in _why(shop, "asks", "NotOffloadable")
    shop.peers.until(lambda: not shop.on_foreign())


def test_an_immutable_one_that_was_made_anew_follows(shop: Shop) -> None:
    def make(color: str) -> None:
        shop.apply(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "fixed"},
                "data": {"color": color},
                "immutable": True,
            }
        )

    make("red")
    shop.deploy(1, volumes=[{"name": "c", "configMap": {"name": "fixed"}}])
    shop.peers.until(lambda: _contents(shop)["configmaps"] == {"fixed": {"color": "red"}})
    shop.kubectl("delete", "configmap", "fixed")
    make("blue")
    shop.peers.until(lambda: _contents(shop)["configmaps"] == {"fixed": {"color": "blue"}})


def test_a_token_of_our_own_cluster_goes_nowhere(shop: Shop) -> None:
    token = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "token", "annotations": {"kubernetes.io/service-account.name": "default"}},
        "type": "kubernetes.io/service-account-token",
    }
    shop.apply(token)
    shop.pod("thief", volumes=[{"name": "t", "secret": {"secretName": "token"}}])
    assert _why(shop, "thief", "NotOffloadable") == "secret token is a token of this cluster"
    assert not _contents(shop)["secrets"]


def _contents(shop: Shop) -> dict[str, dict[str, Any]]:
    """Return the ConfigMaps and Secrets on foreign that are not its own."""
    return {
        kind: {
            o["metadata"]["name"]: o["data"]
            for o in shop.peers.items(FOREIGN, kind, "-n", shop.remote)
            if o["metadata"]["name"] != "kube-root-ca.crt"
        }
        for kind in ("configmaps", "secrets")
    }


def test_a_service_has_all_its_backends_on_both_sides(shop: Shop) -> None:
    shop.deploy(2)
    shop.apply(_deployment_at_home("here"))
    shop.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web"},
            "spec": {
                "selector": {"kind": "server"},
                "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
            },
        }
    )
    for name in ("web", "here"):
        patch = {"spec": {"template": {"metadata": {"labels": {"kind": "server"}}}}}
        shop.kubectl("patch", "deployment", name, "-p", json.dumps(patch))
    shop.peers.until(lambda: len(_backends(shop.peers, HOME, shop.name)) == 3)
    at_home = _backends(shop.peers, HOME, shop.name)
    shop.peers.until(lambda: _backends(shop.peers, FOREIGN, shop.remote) == at_home)
    service = shop.peers.get(FOREIGN, "service", "web", "-n", shop.remote)
    assert service["spec"]["ports"][0]["targetPort"] == 8080
    assert (
        service["spec"]["clusterIP"]
        != shop.peers.get(HOME, "service", "web", "-n", shop.name)["spec"]["clusterIP"]
    )
    own = _own_slices(shop)
    assert own
    shop.kubectl("delete", "deployment", "here")
    shop.peers.until(lambda: len(_backends(shop.peers, FOREIGN, shop.remote)) == 2)
    assert _own_slices(shop) == own
    shop.kubectl("delete", "service", "web")
    shop.peers.until(lambda: not shop.peers.items(FOREIGN, "services,endpointslices", "-n", shop.remote))


def _own_slices(shop: Shop) -> set[str]:
    """Return the uids of what foreign's own controller made for the Services there."""
    mine = "endpointslice.kubernetes.io/managed-by=endpointslice-controller.k8s.io"
    found = shop.peers.items(FOREIGN, "endpointslices", "-n", shop.remote, "-l", mine)
    return {s["metadata"]["uid"] for s in found}


def _backends(peers: Peers, side: str, namespace: str) -> set[str]:
    """Return the addresses behind the Service `web`."""
    found = peers.items(side, "endpointslices", "-n", namespace, "-l", "kubernetes.io/service-name=web")
    return {a for s in found for e in s.get("endpoints") or () for a in e["addresses"]}


def _deployment_at_home(name: str) -> dict[str, Any]:
    labels = {"app": name}
    spec = {
        "nodeSelector": {"type": "kwok"},
        "tolerations": [{"operator": "Exists"}],
        "containers": [{"name": "web", "image": "web:1"}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def test_a_warning_of_foreign_is_told_about_the_pod_at_home(shop: Shop) -> None:
    with _full(shop):
        shop.deploy(1)
        shop.peers.until(lambda: _unscheduled(shop) == ["Unschedulable"])
        (pod,) = shop.at_home()
        shop.peers.until(lambda: "FailedScheduling" in _told(shop, pod["metadata"]["name"]))
    shop.peers.until(lambda: shop.is_running(1))
    assert not _unscheduled(shop)


@contextmanager
def _full(shop: Shop) -> Iterator[None]:
    """Have no node of foreign take a new pod, which the virtual node cannot know."""
    taint = "example.com/full:NoSchedule"
    shop.peers.lab.kubectl(FOREIGN, "taint", "node", "--all", taint)
    try:
        yield
    finally:
        shop.peers.lab.kubectl(FOREIGN, "taint", "node", "--all", f"{taint}-")


def _unscheduled(shop: Shop) -> list[str]:
    """Return why pods that home has placed have no place on foreign."""
    return [
        condition["reason"]
        for pod in shop.at_home()
        for condition in pod["status"].get("conditions", ())
        if condition["type"] == "liqo.io/ForeignScheduled" and condition["status"] == "False"
    ]


def test_what_changes_at_home_changes_abroad_and_in_the_same_pod(shop: Shop) -> None:
    shop.pod("web", containers=[{"name": "web", "image": "web:1"}])
    shop.peers.until(lambda: shop.is_running(1))
    (before,) = shop.on_foreign()
    shop.kubectl("label", "pod", "web", "tier=front", "app=old")
    shop.kubectl("set", "image", "pod/web", "web=web:2")
    shop.peers.until(lambda: _told_abroad(shop) == ("web:2", {"tier": "front", "app": "old"}))
    shop.kubectl("label", "pod", "web", "tier-", "app=new", "--overwrite")
    shop.peers.until(lambda: _told_abroad(shop) == ("web:2", {"app": "new"}))
    (after,) = shop.on_foreign()
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert shop.is_running(1)


def _told_abroad(shop: Shop) -> tuple[str, dict[str, str]]:
    """Return the image of the only pod on foreign, and its labels but those of its node there."""
    (pod,) = shop.on_foreign()
    labels = pod["metadata"].get("labels", {})
    own = {name: text for name, text in labels.items() if not name.startswith("topology.kubernetes.io/")}
    return pod["spec"]["containers"][0]["image"], own


def test_a_pod_may_select_what_all_nodes_over_there_have(shop: Shop) -> None:
    wanted = {"kubernetes.io/arch": "amd64", "topology.kubernetes.io/region": "lab"}
    shop.pod("picky", nodeSelector={"liqo.io/type": "virtual-node", **wanted})
    shop.peers.until(lambda: shop.is_running(1))


def test_a_namespace_that_may_no_longer_keeps_what_runs_and_goes_after_it(shop: Shop) -> None:
    shop.deploy(2)
    shop.peers.until(lambda: shop.is_running(2))
    shop.peers.lab.kubectl(HOME, "label", "namespace", shop.name, "liqo.io/enabled-")
    shop.kubectl("scale", "deployment", "web", "--replicas=1")
    shop.peers.until(lambda: shop.is_running(1))
    shop.kubectl("delete", "deployment", "web")
    shop.peers.until(lambda: not _places(shop.peers, shop.name))


def _places(peers: Peers, name: str) -> list[Any]:
    return peers.items(FOREIGN, "namespaces", "-l", f"liqo.io/home-namespace={name}")


def test_unjoin_with_running_pods_leaves_nothing_on_either_side(shop: Shop) -> None:
    shop.deploy(20)
    shop.peers.until(lambda: shop.is_running(20))
    shop.peers.set_join(HOME, join=False)
    for side in (HOME, FOREIGN):
        shop.peers.until(partial(shop.peers.is_clean, side))
    assert not _places(shop.peers, shop.name)
    assert {p["spec"].get("nodeName") for p in shop.at_home()} == {None}


def test_a_namespace_with_a_name_of_the_system_has_no_place(shop: Shop) -> None:
    there = shop.other("kube-shop")
    shop.pod("first")  # what Liqo sees later than that namespace
    shop.peers.until(lambda: shop.is_running(1))
    there.pod("web")
    assert _why(there, "web", "NamespaceReserved")
