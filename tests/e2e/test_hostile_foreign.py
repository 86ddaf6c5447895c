"""What the administrator of foreign tells home that is not so, on two real planes, with whatever rights home gave it.

That each lie would be believed without the one fence is shown in memory: tests/unit/app/test_world_hostile.py.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e_peers import Peers
from hostile import LIES, OFFER, address, believed_offer
from offloading import FOREIGN, HOME, Shop

pytestmark = pytest.mark.lab

LIQO = "liqo"
TIMES_HOME = 10  # the most that is believed


@pytest.fixture
def liar(shop: Shop) -> Iterator[Shop]:
    """Have a pod run on foreign, where Liqo does nothing any more: only its administrator writes."""
    shop.pod("web")
    shop.peers.until(lambda: shop.is_running(1))
    shop.peers.lab.stop(FOREIGN, LIQO)
    yield shop
    shop.peers.lab.start(FOREIGN, LIQO)


def tell(shop: Shop, what: tuple[str, ...], patch: Any, folder: Path) -> None:
    """Patch an object as foreign's administrator."""
    file = folder / "patch.json"  # an argument may have 128 KiB
    file.write_text(json.dumps(patch))
    shop.peers.lab.kubectl(FOREIGN, "patch", *what, "--type", "merge", "--patch-file", str(file))


def lie(shop: Shop, status: dict[str, Any], folder: Path, mark: str) -> Any:
    """Have foreign say that of the pod; return what home's pod is once it has been looked at."""
    what = ("pod", "web", "-n", shop.remote, "--subresource", "status")
    tell(shop, what, {"status": {**status, "reason": mark}}, folder)
    shop.peers.until(lambda: shop.phases()["web"][1] == mark)
    (pod,) = [p for p in shop.at_home() if p["metadata"]["name"] == "web"]
    return pod


def told(shop: Shop, namespace: str) -> dict[str, str]:
    """Return the messages of the events in a namespace of home's, by reason."""
    return {e["reason"]: e["message"] for e in shop.peers.items(HOME, "events", "-n", namespace)}


def test_what_milan_s_admin_says_of_a_pod_is_not_believed(liar: Shop, tmp_path: Path) -> None:
    (before,) = liar.at_home()
    services = liar.peers.get(HOME, "service", "kubernetes", "-n", "default")["spec"]["clusterIP"]
    lies = {**LIES, "an address of home's Services": address(services)}
    for number, (name, one) in enumerate(lies.items()):
        pod = lie(liar, one.status, tmp_path, f"Lie{number}")
        assert not one.believed(pod["status"]), name
    marks = {"metadata": {"labels": {"app": "bank"}, "annotations": {"example.com/steer": "yes"}}}
    tell(liar, ("pod", "web", "-n", liar.remote), marks, tmp_path)
    pod = lie(liar, {"message": "and now?"}, tmp_path, "Marked")
    for field in ("labels", "annotations", "finalizers", "ownerReferences"):
        assert pod["metadata"].get(field) == before["metadata"].get(field)
    assert "AddressNotBelieved" in told(liar, liar.name)


def test_a_pod_that_is_over_stays_over_whatever_milan_says(liar: Shop, tmp_path: Path) -> None:
    lie(liar, {"phase": "Succeeded"}, tmp_path, "Done")
    what = ("pod", "web", "-n", liar.remote, "--subresource", "status")
    tell(liar, what, {"status": {"phase": "Running", "reason": "Again"}}, tmp_path)
    liar.peers.until(lambda: not liar.on_foreign())
    assert liar.phases() == {"web": ("Succeeded", "Done")}


def test_a_finalizer_on_milan_holds_nobody_else(liar: Shop, tmp_path: Path) -> None:
    hold = {"metadata": {"finalizers": ["example.com/hang"]}}
    tell(liar, ("pod", "web", "-n", liar.remote), hold, tmp_path)
    liar.kubectl("delete", "pod", "web", "--wait=false")
    liar.pod("next")
    try:
        liar.peers.until(lambda: liar.phases().get("next") == ("Running", ""))
    finally:
        tell(liar, ("pod", "web", "-n", liar.remote), {"metadata": {"finalizers": None}}, tmp_path)
    liar.peers.until(lambda: set(liar.phases()) == {"next"})


def test_milan_s_map_makes_it_neither_everywhere_nor_another(liar: Shop, tmp_path: Path) -> None:
    rome = liar.peers.id_of(HOME)
    what = ("namespacemap", rome, "-n", f"liqo-tenant-{rome}", "--subresource", "status")
    services = liar.peers.lab.cluster(HOME).service_cidr
    tell(liar, what, {"status": {"podCIDRs": ["0.0.0.0/0", services]}}, tmp_path)
    liar.peers.until(lambda: f"0.0.0.0/0, {services}" in told(liar, LIQO).get("PodNetworkRefused", ""))
    lies = address(liar.peers.lab.cluster(HOME).service_ip)
    assert not lies.believed(lie(liar, lies.status, tmp_path, "Moved")["status"])
    places = [{"name": liar.name, "remote": "kube-public"}]
    tell(liar, what, {"status": {"namespaces": places}}, tmp_path)
    liar.peers.until(lambda: "PlaceRefused" in told(liar, liar.name))
    liar.pod("next")
    liar.peers.until(lambda: liar.waiting("next")[0] == "PlaceRefused")
    assert liar.peers.items(FOREIGN, "pods", "-n", "kube-public") == []
    liar.kubectl("delete", "pod", "next", "--timeout=20s")


def as_milan(peers: Peers, *args: str) -> subprocess.CompletedProcess[str]:
    """Run kubectl at home with the identity that home gave to foreign."""
    spec = peers.lab.cluster(HOME)
    token = peers.lab.kubectl(HOME, "create", "token", f"peer-{peers.id_of(FOREIGN)}", "-n", LIQO).strip()
    ca = str(spec.pki / "ca.crt")
    who = (
        "--kubeconfig=/dev/null",
        "--server",
        spec.api_url,
        "--certificate-authority",
        ca,
        "--token",
        token,
    )
    return peers.lab.exec(HOME, ("kubectl", *who, *args))


def test_milan_s_identity_at_rome_offers_no_more_than_can_be_and_is_nobody_else(liar: Shop) -> None:
    milan, other = liar.peers.id_of(FOREIGN), "b" * 32
    patch = json.dumps({"spec": {**OFFER, "taints": [{"key": "a", "effect": "NoExecute"}]}})
    mine = as_milan(liar.peers, "patch", "adv", milan, "-n", LIQO, "--type", "merge", "-p", patch)
    assert mine.returncode == 0, mine.stderr

    def node() -> Any:
        (found,) = liar.peers.virtual_nodes(HOME)
        return found

    liar.peers.until(lambda: node()["status"]["allocatable"]["memory"] == "1Gi")
    real = liar.peers.items(HOME, "nodes", "-l", "liqo.io/type!=virtual-node")
    own = sum(int(n["status"]["allocatable"]["cpu"]) for n in real)
    assert believed_offer(node(), own * TIMES_HOME) == []
    keys = [
        t["key"] for t in node()["spec"]["taints"]
    ]  # Kubernetes has its own for a node that it does not hear
    assert [k for k in keys if not k.startswith("node.kubernetes.io/")] == [
        "virtual-node.liqo.io/not-allowed"
    ]
    offer = liar.peers.get(HOME, "adv", milan, "-n", LIQO)
    theirs = {
        **{name: offer[name] for name in ("apiVersion", "kind")},
        "metadata": {"name": other, "namespace": LIQO},
        "spec": {**offer["spec"], "clusterID": other},
    }
    for verb, what in {"patch": ["adv", other], "delete": ["adv", other], "get": ["adv"]}.items():
        more = ["--type", "merge", "-p", patch] if verb == "patch" else []
        assert "forbidden" in as_milan(liar.peers, verb, *what, "-n", LIQO, *more).stderr.lower(), verb
    file = liar.peers.lab.folder / "theirs.json"
    file.write_text(json.dumps(theirs))
    made = as_milan(liar.peers, "create", "-f", str(file), "--validate=false")
    assert "forbidden" in made.stderr.lower()
    liar.peers.until(lambda: liar.is_running(1))
