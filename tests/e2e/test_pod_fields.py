"""Pods on a real node and on a virtual one: what each field does, and what each verb of kubectl says, is the same."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from e2e_peers import Peers
from liqo.app.lab import up_with_liqo
from liqo.lab.image import IMAGE
from liqo.lab.pytest_plugin import Eventually, LabFactory
from offloading import FOREIGN, HOME, TOLERATION, Shop
from pod_cases import CASES, CONFIG
from verb_cases import PODS, TERMINAL, VERBS

pytestmark = [
    pytest.mark.lab,
    pytest.mark.seconds(400),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a real node"),
]

HERE, THERE = "on-real", "on-virtual"  # namespaces of home: on its own node, and on the other cluster
REAL_NODE = f"{HOME}-real"
SECONDS = 240.0  # the first of them waits while all begin
SANDBOX = "PodReadyToStartContainers"  # of a pod that is over, a kubelet says it again or not: chance
# Chance too: containerd says Error where it hears of an end before its cause (its issues 8180 and 12260).
OUT_OF_MEMORY = ('["OOMKilled", 137, null]', '["Error", 137, null]')

CHANCE = {
    r"\d+(\.\d+){3}": "ADDRESS",
    r"\b(\d+[smh])+\b": "AGE",
    r"\b[A-Z][a-z]{2}, \d\d .*": "TIME",
    r"\b[0-9a-f]{64}\b": "ID",
    r"[ \t]+": " ",
}
"""What differs between any two pods, as kubectl prints it."""


@pytest.fixture(scope="module")
def peers(lab_factory: LabFactory, eventually: Eventually) -> Iterator[Peers]:
    """Two clusters with a real node each, and all pods twice: on home's node, and on the virtual one."""
    with ExitStack() as stack:
        lab = lab_factory()
        stack.callback(lab.down)
        up_with_liqo(lab, (HOME, FOREIGN), lan=False, real=True)
        peers = Peers(lab, eventually)
        for namespace in (HERE, THERE):
            lab.kubectl(HOME, "create", "namespace", namespace)
        lab.kubectl(HOME, "label", "namespace", THERE, "liqo.io/enabled=true")
        # With less than that, pods wait for a place until others are over.
        peers.configure(FOREIGN, "advertisementConfig", outgoing={"resourceSharingPercentage": 95})
        peers.apply_seed(HOME, FOREIGN)
        peers.until(partial(peers.is_ready, HOME))
        for namespace, pin in ((HERE, on_real_node()), (THERE, on_virtual_node())):
            shop = Shop(peers, namespace)
            refer_to(shop)
            pods = [
                {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "metadata": {"name": name, "labels": case.labels},
                    "spec": case.forge(**pin),
                }
                for name, case in CASES.items()
            ] + [{**pod, "spec": {**pod["spec"], **pin}} for pod in PODS]
            shop.apply({"apiVersion": "v1", "kind": "List", "items": pods})
        yield peers


def refer_to(shop: Shop) -> None:
    """Make what the pods refer to."""
    shop.kubectl("create", "configmap", CONFIG, "--from-literal=color=red")
    shop.kubectl("create", "secret", "generic", CONFIG, "--from-literal=word=sesame")
    shop.kubectl("create", "service", "clusterip", CONFIG, "--tcp=80:8080")


def on_real_node() -> dict[str, Any]:
    return {"nodeSelector": {"kubernetes.io/hostname": REAL_NODE}}


def on_virtual_node() -> dict[str, Any]:
    return {"nodeSelector": {"liqo.io/type": "virtual-node"}, "tolerations": [TOLERATION]}


@pytest.mark.parametrize("name", CASES)
def test_a_field_does_on_a_virtual_node_what_it_does_on_a_real_one(peers: Peers, name: str) -> None:
    waits = CASES[name].waits

    def is_same() -> bool:
        real, virtual = (peers.get(HOME, "pod", name, "-n", namespace) for namespace in (HERE, THERE))
        if not all(is_settled(pod, waits=waits) for pod in (real, virtual)):
            return False
        assert told(peers, virtual, waits=waits) == told(peers, real, waits=waits)
        if not virtual["spec"].get("schedulingGates"):
            (there,) = (p for p in Shop(peers, THERE).on_foreign() if p["metadata"]["name"] == name)
            assert conditions(virtual)[SANDBOX] == conditions(there)[SANDBOX]
            assert ends(virtual) == ends(there)
        return True

    peers.until(is_same, SECONDS)


def is_settled(pod: Any, *, waits: bool) -> bool:
    """Return whether a pod is over, or waits for what it will wait for."""
    if not waits:
        return pod["status"]["phase"] in {"Succeeded", "Failed"}
    if pod["spec"].get("schedulingGates"):
        return True
    states = [c["state"] for c in pod["status"].get("containerStatuses", ())]
    return any(
        "running" in s or s.get("waiting", {}).get("reason", "ContainerCreating") != "ContainerCreating"
        for s in states
    )


def conditions(pod: Any) -> dict[str, list[Any]]:
    return {c["type"]: [c["status"], c.get("reason")] for c in pod["status"]["conditions"]}


def ends(pod: Any) -> list[Any]:
    """Return how its containers ended, to the letter."""
    return [c["state"].get("terminated") for c in pod["status"].get("containerStatuses", ())]


def told(peers: Peers, pod: Any, *, waits: bool) -> dict[str, Any]:
    """Return what a pod said and how it stands, with its namespace and node by one name."""
    meta, status = pod["metadata"], pod["status"]
    said = {
        c["name"]: peers.lab.exec(
            HOME, ["kubectl", "logs", meta["name"], "-c", c["name"], "-n", meta["namespace"]]
        ).stdout
        for group in ("initContainers", "containers")
        for c in pod["spec"].get(group, ())
        if not pod["spec"].get("schedulingGates")
    }
    found = {
        "said": said,
        "stands": [status.get(f) for f in ("phase", "reason", "message", "qosClass", "observedGeneration")],
        "told at all": [f for f in ("startTime", "podIP", "podIPs", "hostIP", "hostIPs") if f in status],
        "conditions": {k: v for k, v in conditions(pod).items() if waits or k != SANDBOX},
        "containers": [
            [
                c["name"],
                c["restartCount"],
                c["ready"],
                c.get("started"),
                _state(c["state"]),
                _state(c["lastState"]),
            ]
            for group in ("initContainerStatuses", "containerStatuses")
            for c in status.get(group, ())
        ],
    }
    text = json.dumps(found).replace(*OUT_OF_MEMORY)
    for name, plain in ((meta["namespace"], "NAMESPACE"), (pod["spec"].get("nodeName", "none"), "NODE")):
        text = text.replace(name, plain)
    return dict(json.loads(text))


def _state(state: Any) -> Any:
    """Return a container's state without the times and names of one run."""
    return {
        kind: [of.get(f) for f in ("reason", "exitCode", *(("message",) if kind == "terminated" else ()))]
        for kind, of in state.items()
    }


@pytest.fixture(scope="module")
def begun(peers: Peers) -> Peers:
    """Wait until all that is typed about has begun; all pods do at once."""
    has_begun = "--for=jsonpath={.status.containerStatuses[0].containerID}"
    for namespace in (HERE, THERE):
        for what in ((has_begun, "pods", "-l", "verbs"), ("--for=condition=Ready", "pod/web")):
            waiting = ["kubectl", "wait", *what, "-n", namespace, "--timeout=240s"]
            done = peers.lab.exec(HOME, waiting, timeout=250)
            assert done.returncode == 0, done.stderr
    return peers


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_says_of_a_pod_on_a_virtual_node_what_it_says_on_a_real_one(
    begun: Peers, name: str, tmp_path: Path
) -> None:
    peers = begun
    (node,) = peers.virtual_nodes(HOME)
    sides = ((HERE, REAL_NODE), (THERE, node["metadata"]["name"]))
    with ThreadPoolExecutor(len(sides)) as pool:
        real, virtual = pool.map(lambda on: typed(peers, VERBS[name].script, on[0], on[1], tmp_path), sides)
    if refused := VERBS[name].refused:
        assert real[2] == 0, real
        assert virtual[2] == 1
        assert refused in virtual[1]
    else:
        assert virtual == real


def typed(peers: Peers, script: str, namespace: str, node: str, tmp_path: Path) -> tuple[str, str, int]:
    """Return what a script printed and said, without what differs between any two pods, and its exit code."""
    folder = tmp_path / namespace
    folder.mkdir()
    command = peers.lab.command(HOME, ["sh", "-c", TERMINAL + script])
    env = {
        **command.env,
        "KUBECONFIG": str(folder / "kubeconfig"),
        "NAMESPACE": namespace,
        "NODE": node,
        "IMAGE": IMAGE,
        "PIN": json.dumps({"spec": {"nodeSelector": {"kubernetes.io/hostname": node}}}),
    }
    (folder / "kubeconfig").write_bytes(Path(command.env["KUBECONFIG"]).read_bytes())
    here = peers.lab.command(
        HOME, ["kubectl", "config", "set-context", "--current", "--namespace", namespace]
    )
    subprocess.run(here.argv, env=env, check=True, capture_output=True)
    done = subprocess.run(
        command.argv,
        env=env,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return plain(done.stdout, namespace, node), plain(done.stderr, namespace, node), done.returncode


def plain(text: str, namespace: str, node: str) -> str:
    """Return what was said without names, addresses, times and widths of columns."""
    text = text.replace(namespace, "NAMESPACE").replace(node, "NODE")
    for pattern, word in CHANCE.items():
        text = re.sub(pattern, word, text)
    return text
