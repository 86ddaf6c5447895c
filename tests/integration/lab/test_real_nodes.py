"""Pods that really run: logs, exec, Services, names, the way to another cluster; and nothing is left after them."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from liqo.errors import Invalid, Refused
from liqo.lab.image import IMAGE
from liqo.lab.lab import Lab
from liqo.lab.process import command_name, end, find
from liqo.lab.pytest_plugin import Eventually, LabFactory
from liqo.lab.real import TUNABLES, cgroup_prefix
from ordinary import Ordinary

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a real node"),
]
BUSY = ("containerd", "kubelet", "kube-proxy", "pods")  # have children that end at once
HOST_FOLDERS = ("/etc", "/opt", "/run", "/run/netns", "/var/lib", "/var/lib/cni", "/var/log")


def container() -> dict[str, Any]:
    return {"name": "main", "image": IMAGE}


def web(replicas: int = 2) -> str:
    """Return a Deployment of web servers, and a Service before it."""
    labels = {"app": "web"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [container()]}}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": pod},
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    return yaml.safe_dump_all([deployment, service])


def kubectl(lab: Lab, cluster: str, *args: str, text: str | None = None) -> str:
    return lab.kubectl(cluster, "-n", "default", *args, text=text)


def serve(lab: Lab, cluster: str, replicas: int = 2) -> list[str]:
    """Run web servers until they are Available, and return the names of their pods."""
    kubectl(lab, cluster, "apply", "-f", "-", text=web(replicas))
    kubectl(lab, cluster, "wait", "--for=condition=Available", "deployment/web", "--timeout=50s")
    return kubectl(lab, cluster, "get", "pods", "-o", "jsonpath={.items[*].metadata.name}").split()


@pytest.fixture(scope="module")
def real(lab_factory: LabFactory) -> Lab:
    return lab_factory("rome", "milan", real=True)


@pytest.fixture(scope="module")
def pods(real: Lab) -> list[str]:
    return serve(real, "rome")


def test_logs_and_exec_come_from_the_container(real: Lab, pods: list[str]) -> None:
    for pod in pods:
        assert kubectl(real, "rome", "logs", pod).splitlines()[0] == f"{pod} serves on 8080"
        assert kubectl(real, "rome", "exec", pod, "--", "hostname") == f"{pod}\n"
    with pytest.raises(Refused, match="exit code 3"):
        kubectl(real, "rome", "exec", pods[0], "--", "sh", "-c", "exit 3")


def test_a_service_answers_by_its_name(real: Lab, pods: list[str], eventually: Eventually) -> None:
    """Also to a pod that is behind it, which may reach itself."""

    def answers(name: str) -> bool:
        seen = {kubectl(real, "rome", "exec", pods[0], "--", "wget", "-qO-", name).strip() for _ in range(6)}
        assert seen <= set(pods)
        return bool(seen)

    eventually(lambda: answers("http://web.default.svc.cluster.local"))
    assert answers("http://web")


def test_a_pod_reaches_the_api_server_of_its_cluster(real: Lab, pods: list[str]) -> None:
    ask = "nc -w 5 kubernetes.default.svc 443 </dev/null && cat /var/run/secrets/kubernetes.io/serviceaccount/token"
    assert kubectl(real, "rome", "exec", pods[0], "--", "sh", "-c", ask).count(".") == 2


def test_a_pod_reaches_one_of_another_cluster_by_its_address(real: Lab, pods: list[str]) -> None:
    there = serve(real, "milan", replicas=1)
    address = kubectl(real, "milan", "get", "pod", there[0], "-o", "jsonpath={.status.podIP}")
    said = kubectl(real, "rome", "exec", pods[0], "--", "wget", "-qO-", f"http://{address}:8080")
    assert said.strip() == there[0]
    # Nothing is masqueraded: the other pod sees whose pod it was.
    mine = kubectl(real, "rome", "get", "pod", pods[0], "-o", "jsonpath={.status.podIP}")
    assert mine in kubectl(real, "milan", "logs", there[0])


def test_up_again_changes_nothing(real: Lab, pods: list[str], eventually: Eventually) -> None:
    before = {(r.pid, r.part) for r in find(real.folder) if r.part not in BUSY}
    done = real.up()
    assert not any(done.started.values())
    assert {(r.pid, r.part) for r in find(real.folder) if r.part not in BUSY} == before
    eventually(lambda: all(cluster.ready for cluster in real.status()))
    assert serve(real, "rome") == pods


def test_fake_nodes_beside_the_real_one_take_the_pods_that_ask_for_them(
    real: Lab, pods: list[str], eventually: Eventually
) -> None:
    assert pods
    real.up(["milan"], nodes=2, liqo=False)
    spec = {"containers": [container()], "nodeSelector": {"type": "kwok"}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "made-up"}, "spec": spec}
    kubectl(real, "milan", "apply", "-f", "-", text=yaml.safe_dump(pod))
    where = ("get", "pod", "made-up", "-o", "jsonpath={.spec.nodeName} {.status.phase}")
    eventually(lambda: kubectl(real, "milan", *where) in ("milan-node-1 Running", "milan-node-2 Running"))
    ready = ("get", "node", "milan-real", "-o", "jsonpath={.status.conditions[?(@.type=='Ready')].status}")
    assert kubectl(real, "milan", *ready) == "True"
    kubectl(real, "milan", "delete", "pod", "made-up", "--now")
    real.up(["milan"], nodes=0, liqo=False)  # else pods of other tests land there


def test_containers_outlive_containerd_and_kubelet(
    real: Lab, pods: list[str], eventually: Eventually
) -> None:
    for part in ("containerd", "kubelet"):
        real.kill("rome", part)
        assert not real.is_running("rome", part)
    assert set(real.start("rome")) == {"containerd", "kubelet"}
    # A kubelet that begins knows of no pod until it has read them all.
    assert eventually(lambda: kubectl(real, "rome", "exec", pods[0], "--", "hostname")) == f"{pods[0]}\n"
    restarts = ("get", "pod", pods[0], "-o", "jsonpath={.status.containerStatuses[0].restartCount}")
    assert kubectl(real, "rome", *restarts) == "0"


def namespaces_of(pid_namespace: str) -> set[str]:
    """Return all namespaces of the processes in one, but those of the machine."""
    kinds = ("pid", "net", "mnt", "ipc", "uts")
    return {link for pid in inside(pid_namespace) for kind in kinds if (link := namespace(pid, kind))} - {
        namespace("self", kind) for kind in kinds
    }


def namespace(pid: str, kind: str) -> str:
    try:
        return str(Path(f"/proc/{pid}/ns/{kind}").readlink())
    except OSError:
        return ""


def inside(pid_namespace: str) -> list[str]:
    """Return the processes in a namespace, and those that they started in others; no container has a mark."""
    return [pid for pid in _pids() if pid_namespace in {namespace(each, "pid") for each in lineage(pid)}]


def lineage(pid: str) -> Iterator[str]:
    """Return a process, who started it, and so on."""
    while pid != "0":
        yield pid
        try:
            pid = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
        except OSError:
            return


def _pids() -> list[str]:
    return [path.name for path in Path("/proc").iterdir() if path.name.isdigit()]


def machine() -> dict[str, Any]:
    """Return what of the machine itself a node could leave changed."""
    folders = {name: sorted(map(str, Path(name).glob("*"))) for name in HOST_FOLDERS}
    tunables = {name: path.read_text() for name in TUNABLES if (path := Path("/proc/sys") / name).exists()}
    interfaces = sorted(path.name for path in Path("/sys/class/net").iterdir())
    return {"folders": folders, "tunables": tunables, "interfaces": interfaces}


def mounted(folder: Path) -> list[str]:
    """Return the processes that have a mount of that folder."""
    found = []
    for pid in _pids():
        try:
            if str(folder) in Path(f"/proc/{pid}/mountinfo").read_text():
                found.append(pid)
        except OSError:
            continue
    return found


def cgroups(folder: Path) -> list[Path]:
    prefix = cgroup_prefix(folder)  # other labs' come and go meanwhile, which walk passes over
    walked = os.walk("/sys/fs/cgroup")
    return [Path(where) / name for where, names, _ in walked for name in names if name.startswith(prefix)]


@pytest.mark.seconds(300)
def test_down_leaves_nothing_after_the_worst(lab: LabFactory, eventually: Eventually) -> None:
    before = machine()
    made = lab("rome", real=True)
    serve(made, "rome")
    held = next(r.pid for r in find(made.folder) if r.part == "node" and command_name(r.pid) == "sleep")
    own = namespace(str(held), "pid")
    names = {command_name(int(pid)) for pid in inside(own)}
    assert {"containerd", "kubelet", "httpd"} <= names
    seen = namespaces_of(own)
    assert len({link for link in seen if link.startswith("net:")}) == 3  # the cluster's, and each pod's
    assert mounted(made.folder)
    assert cgroups(made.folder)
    worst = [r for r in find(made.folder) if r.part in ("containerd", "kubelet", "kube-proxy")]
    end(worst, made.folder, term_seconds=0)
    (made.folder / "lab.json").write_text("{")
    there = _pids()  # a namespace that is made later may get the number of one of these
    assert made.down()
    assert not made.folder.exists()
    assert not find(made.folder)
    assert not cgroups(made.folder)
    eventually(lambda: not mounted(made.folder))
    eventually(lambda: not [pid for pid in there if seen & {namespace(pid, "net"), namespace(pid, "pid")}])
    assert machine() == before


@pytest.mark.seconds(300)
def test_a_node_that_is_killed_takes_its_pods_along_and_brings_them_back(
    real: Lab, eventually: Eventually
) -> None:
    """As a machine that lost its power."""
    name = serve(real, "milan", replicas=1)[0]
    restarts = ("get", "pod", name, "-o", "jsonpath={.status.containerStatuses[0].restartCount}")
    before = int(kubectl(real, "milan", *restarts))
    real.kill("milan", "node")
    assert not real.is_running("milan", "kubelet")
    assert "node" in real.up(["milan"], liqo=False).started["milan"]
    assert (
        eventually(lambda: kubectl(real, "milan", "exec", name, "--", "hostname"), timeout=90) == f"{name}\n"
    )
    eventually(lambda: int(kubectl(real, "milan", *restarts)) == before + 1)


def test_an_older_kubernetes_has_no_real_nodes(tmp_path: Path) -> None:
    made = Lab(tmp_path / "lab")
    try:
        with pytest.raises(Invalid, match="of the newest only") as refused:
            made.up(["rome"], kubernetes="1.31", real=True, liqo=False)
        assert refused.value.hint
    finally:
        made.down()


def test_real_nodes_need_a_lan(tmp_path: Path) -> None:
    made = Lab(tmp_path / "lab")
    try:
        with pytest.raises(Refused, match="only root") as refused:
            made.up(["rome"], real=True, liqo=False, loopback=True)
        assert refused.value.hint
    finally:
        made.down()


def test_an_ordinary_user_is_told_who_can(ordinary: Ordinary) -> None:
    with pytest.raises(AssertionError, match="only root can make a real node"):
        ordinary.liqo_lab("up", "rome", "--real", "--no-liqo")
