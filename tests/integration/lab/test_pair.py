"""Two clusters on one LAN, as the tests of the other rooms use them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Protocol

import pytest

from liqo.errors import Invalid, Refused
from liqo.lab.lab import Lab
from liqo.lab.process import find
from liqo.lab.pytest_plugin import Eventually
from liqo.lab.spec import Mode
from liqo.lab.status import forge_status

pytestmark = pytest.mark.lab

READY = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'
POD = """
apiVersion: v1
kind: Pod
metadata: {name: NAME}
spec: {containers: [{name: main, image: fake}]}
"""

# Sends a letter whenever told to, and says what comes back; a letter that is lost ends in a time-out.
TALK = """
import socket, sys
connection = socket.create_connection((sys.argv[1], 7000), timeout=20)
for line in sys.stdin:
    connection.settimeout(float(line))
    try:
        connection.sendall(b"x")
        print("got", connection.recv(1).decode(), flush=True)
    except TimeoutError:
        print("stalled", flush=True)
"""
ECHO = """
import socket
server = socket.create_server(("", 7000))
print("listening", flush=True)
connection, _ = server.accept()
while data := connection.recv(100):
    connection.sendall(data)
"""


class Program:
    """A Python program that one talks to by lines."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()

    def ask(self, line: str) -> str:
        assert self._process.stdin
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self.line()


class Open(Protocol):
    """Starts a program on a cluster's host."""

    def __call__(self, name: str, code: str, *args: str) -> Program: ...


@pytest.fixture
def lan(pair: Lab) -> Iterator[Lab]:
    if pair.cluster("rome").mode is Mode.LOOPBACK:
        (pytest.skip if os.geteuid() else pytest.fail)("this machine lets nobody make a network")
    yield pair
    pair.heal("rome", "milan")


@pytest.fixture
def open_program(pair: Lab) -> Iterator[Open]:
    with ExitStack() as stack:

        def run(name: str, code: str, *args: str) -> Program:
            command = pair.command(name, [sys.executable, "-c", code, *args])
            process = stack.enter_context(
                subprocess.Popen(
                    command.argv, env=command.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            )
            stack.callback(process.kill)
            return Program(process)

        yield run


def test_up_twice_changes_nothing(pair: Lab) -> None:
    before = find(pair.folder)
    again = pair.up(["rome", "milan"])
    assert again.created == ()
    assert again.started == {"rome": (), "milan": ()}
    assert find(pair.folder) == before


def test_everything_is_ready(pair: Lab, eventually: Eventually) -> None:
    eventually(lambda: all(cluster.ready for cluster in pair.status()))
    clusters = {cluster["name"]: cluster for cluster in forge_status(pair.status())["clusters"]}
    assert clusters.keys() == {"rome", "milan"}
    rome = clusters["rome"]
    assert Path(rome["kubeconfig"]).is_file()
    assert rome["apiUrl"] == pair.cluster("rome").api_url
    assert (rome["clusterID"], rome["namespace"]) == ("", "liqo")
    names = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"]
    assert [component["name"] for component in rome["components"]] == names
    assert all(component["ready"] and component["pid"] for component in rome["components"])


def test_nodes_are_ready_and_a_pod_runs(pair: Lab, eventually: Eventually) -> None:
    nodes = json.loads(pair.kubectl("rome", "get", "nodes", "-l", "type=kwok", "-o", "json"))["items"]
    assert [node["metadata"]["name"] for node in nodes] == ["rome-node-1", "rome-node-2", "rome-node-3"]
    pair.kubectl("rome", "-n", "default", "apply", "-f", "-", text=POD.replace("NAME", "runs"))

    def running() -> bool:
        pod = json.loads(pair.kubectl("rome", "-n", "default", "get", "pod", "runs", "-o", "json"))
        ip: str = pod["status"].get("podIP", "")
        return bool(pod["status"]["phase"] == "Running") and ip.startswith("10.129.")

    eventually(running)
    assert pair.kubectl("rome", "-n", "default", "logs", "runs") == "a fake pod of rome says hello\n"
    pair.kubectl("rome", "-n", "default", "delete", "pod", "runs", "--timeout=30s")


def test_a_pod_whose_node_was_taken_for_dead_is_ready_again(pair: Lab) -> None:
    rome = partial(pair.kubectl, "rome", "-n", "default")
    rome("apply", "-f", "-", text=POD.replace("NAME", "silent"))
    rome("wait", "pod/silent", "--for=condition=Ready", "--timeout=30s")
    dead = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
    told = rome("patch", "pod", "silent", "--subresource=status", "-p", json.dumps(dead), "-o", READY)
    assert told == "False"
    rome("wait", "pod/silent", "--for=condition=Ready", "--timeout=30s")
    rome("delete", "pod", "silent", "--timeout=30s")


def test_kwok_leaves_other_nodes_alone(pair: Lab) -> None:
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "other", "labels": {"liqo.io/type": "virtual-node"}},
    }
    pair.kubectl("rome", "apply", "-f", "-", text=json.dumps(node))
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "stays", "namespace": "default"},
        "spec": {"nodeName": "other", "containers": [{"name": "main", "image": "fake"}]},
    }
    pair.kubectl("rome", "apply", "-f", "-", text=json.dumps(pod))
    pair.kubectl("rome", "-n", "default", "apply", "-f", "-", text=POD.replace("NAME", "after"))
    # A later pod runs, so kwok has seen the earlier one and did nothing.
    pair.kubectl("rome", "-n", "default", "wait", "pod/after", "--for=condition=Ready", "--timeout=30s")
    assert (
        pair.kubectl("rome", "-n", "default", "get", "pod", "stays", "-o", "jsonpath={.status.phase}")
        == "Pending"
    )
    pair.kubectl("rome", "-n", "default", "delete", "pod", "stays", "after", "--grace-period=0", "--force")
    pair.kubectl("rome", "delete", "node", "other")


def test_the_kubeconfig_works_from_any_shell(pair: Lab) -> None:
    spec = pair.cluster("milan")
    done = pair.exec("milan", ["kubectl", "config", "view", "-o", "jsonpath={..namespace}"])
    assert done.stdout == "liqo"
    assert spec.people_url.startswith("https://127.")
    assert spec.people_url in spec.kubeconfig.read_text()
    assert spec.kubeconfig.stat().st_mode & 0o777 == 0o600


def test_exec_has_the_matching_kubectl(pair: Lab) -> None:
    versions = json.loads(pair.kubectl("rome", "version", "-o", "json"))
    assert versions["clientVersion"]["gitVersion"] == versions["serverVersion"]["gitVersion"]


def test_clusters_are_independent(pair: Lab) -> None:
    url = pair.cluster("milan").api_url
    with pytest.raises(Refused, match="unknown authority"):
        pair.kubectl("rome", "--server", url, "get", "nodes")


def test_a_stranger_may_ask_but_not_for_nodes(pair: Lab, stranger: Callable[[str], list[str]]) -> None:
    url = pair.cluster("milan").api_url
    assert pair.exec("rome", stranger(f"{url}/version")).stdout == "200\n"
    assert pair.exec("rome", stranger(f"{url}/api/v1/nodes")).stdout == "403\n"


def test_a_component_stops_and_starts(pair: Lab, eventually: Eventually) -> None:
    port = pair.cluster("milan").people_url
    assert pair.stop("milan", "kube-apiserver") == ["kube-apiserver"]
    assert pair.stop("milan", "kube-apiserver") == []
    assert not next(c for c in pair.status() if c.name == "milan").ready
    assert pair.start("milan", "kube-apiserver") == ["kube-apiserver"]
    assert pair.start("milan", "kube-apiserver") == []
    assert pair.cluster("milan").people_url == port
    eventually(lambda: next(c for c in pair.status() if c.name == "milan").ready)


def test_up_starts_only_what_was_killed(pair: Lab) -> None:
    pair.kill("milan", "kube-scheduler")
    assert pair.up(["milan"]).started == {"milan": ("kube-scheduler",)}


def test_a_component_that_there_is_not_is_said(pair: Lab) -> None:
    with pytest.raises(Invalid, match="no component 'kubelet'") as refused:
        pair.stop("rome", "kubelet")
    assert "kwok" in refused.value.hint
    with pytest.raises(Invalid, match="no cluster 'paris'"):
        pair.stop("paris")
    with pytest.raises(Refused, match="not installed"):
        pair.start("rome", "liqo")


def test_the_name_server_knows_the_clusters(lan: Lab, eventually: Eventually) -> None:
    host, port = lan.name_server()
    code = f"""
import socket, struct, sys
name = b"".join(bytes([len(p)]) + p.encode() for p in sys.argv[1].split("."))
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.settimeout(5)
    s.sendto(struct.pack("!6H", 1, 0, 1, 0, 0, 0) + name + bytes([0, 0, 1, 0, 1]), ("{host}", {port}))
    print(socket.inet_aton(sys.argv[2]) in s.recv(512))
"""

    def has(name: str, address: str) -> bool:
        return lan.exec("rome", [sys.executable, "-c", code, name, address]).stdout == "True\n"

    eventually(lambda: has("milan.lab", lan.cluster("milan").host))
    lan.set_records("paris 5 IN A 192.0.2.7\nmydomain.com. 5 IN A 192.0.2.8\n")
    eventually(lambda: has("paris.lab", "192.0.2.7"))
    assert has("mydomain.com", "192.0.2.8")


def test_a_partition_stalls_an_open_connection_and_healing_lets_it_go_on(
    lan: Lab, open_program: Open
) -> None:
    server = open_program("milan", ECHO)
    assert server.line() == "listening"
    client = open_program("rome", TALK, lan.cluster("milan").host)
    assert client.ask("20") == "got x"
    lan.partition("rome", "milan")
    lan.partition("rome", "milan")
    assert client.ask("1") == "stalled"
    with pytest.raises(Refused, match=r"(?i)time|unable|no route"):
        lan.kubectl("milan", "--server", lan.cluster("rome").api_url, "--request-timeout=1s", "get", "nodes")
    lan.heal("rome", "milan")
    lan.heal("rome", "milan")
    assert client.ask("20") == "got x"


def test_multicast_crosses_the_lan_but_no_partition(lan: Lab, open_program: Open) -> None:
    hear = """
import socket, sys
group = socket.inet_aton("224.0.0.251")
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("224.0.0.251", 5353))
s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group + socket.inet_aton(sys.argv[1]))
print("listening", flush=True)
while True:
    print(s.recv(100).decode(), flush=True)
"""
    say = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.sendto(sys.argv[1].encode(), ("224.0.0.251", 5353))
"""
    ear = open_program("milan", hear, lan.cluster("milan").host)
    assert ear.line() == "listening"
    lan.exec("rome", [sys.executable, "-c", say, "before"])
    assert ear.line() == "before"
    lan.partition("milan", "rome")
    lan.exec("rome", [sys.executable, "-c", say, "lost"])
    lan.heal("milan", "rome")
    lan.exec("rome", [sys.executable, "-c", say, "after"])
    assert ear.line() == "after"
