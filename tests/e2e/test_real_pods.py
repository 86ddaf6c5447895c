"""Pods of rome that really run on milan: containers, their logs, commands in them, files, ports and Services.

What a fake pod cannot show is shown here: the end of a command's input, its exit code, a file that is copied in.
"""

import hashlib
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from e2e_peers import Peers
from liqo.app.lab import up_with_liqo
from liqo.lab.image import IMAGE
from liqo.lab.pytest_plugin import Eventually, LabFactory
from offloading import FOREIGN, HOME, Shop, abroad

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a real node"),
]

NAMESPACE = "shop"
MIB = 2**20
CONNECTIONS = 20
FORWARD = """
import subprocess, sys, threading, urllib.request
with subprocess.Popen(["kubectl", "port-forward", *sys.argv[2:]], stdout=subprocess.PIPE, text=True) as forward:
    port = forward.stdout.readline().rpartition(" -> ")[0].rpartition(":")[2]
    start, found = threading.Barrier(int(sys.argv[1])), []
    def get():
        start.wait()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as answer:
            found.append(answer.read().decode().strip())
    threads = [threading.Thread(target=get) for _ in range(int(sys.argv[1]))]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    forward.terminate()
print(*found)
"""
SIZES = (3, 100)


@pytest.fixture(scope="module")
def shop(lab_factory: LabFactory, eventually: Eventually) -> Iterator[Shop]:
    """A web server of rome that runs in milan."""
    with ExitStack() as stack:
        lab = lab_factory()
        stack.callback(lab.down)
        up_with_liqo(lab, (HOME, FOREIGN), lan=False, real=True)
        peers = Peers(lab, eventually)
        shop = Shop(peers, NAMESPACE)
        lab.kubectl(HOME, "create", "namespace", NAMESPACE)
        lab.kubectl(HOME, "label", "namespace", NAMESPACE, "liqo.io/enabled=true")
        peers.apply_seed(HOME, FOREIGN)
        peers.until(partial(peers.is_ready, HOME))
        probe = {"tcpSocket": {"port": 8080}, "periodSeconds": 1}
        shop.deploy(1, containers=[{"name": "web", "image": IMAGE, "readinessProbe": probe}])
        peers.until(lambda: shop.is_running(1))
        yield shop


@pytest.fixture
def pod(shop: Shop) -> str:
    return next(
        str(p["metadata"]["name"]) for p in shop.at_home() if "app" in p["metadata"].get("labels", {})
    )


def run(shop: Shop, *argv: str, data: str | None = None) -> subprocess.CompletedProcess[str]:
    return shop.peers.lab.exec(HOME, ["kubectl", "-n", NAMESPACE, *argv], text=data)


def test_it_runs_there_and_says_so_here(shop: Shop, pod: str) -> None:
    assert {p["spec"]["nodeName"] for p in shop.on_foreign()} == {"milan-real"}
    assert run(shop, "logs", pod).stdout.splitlines()[0] == f"{pod} serves on 8080"


def test_a_command_ends_with_its_code_and_sees_the_end_of_its_input(shop: Shop, pod: str) -> None:
    done = run(shop, "exec", pod, "--", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.stdout, done.returncode) == ("out\n", 7), done.stderr
    assert done.stderr.startswith("err\n")
    assert run(shop, "exec", "-i", pod, "--", "wc", "-c", data="x" * 100_000).stdout.strip() == "100000"


def test_logs_are_followed_until_the_pod_ends(shop: Shop) -> None:
    say = {"name": "main", "image": IMAGE, "command": ["sh", "-c", "echo one; sleep 1; echo two"]}
    shop.pod("talker", containers=[say], restartPolicy="Never")
    shop.peers.until(lambda: shop.phases()["talker"][0] != "Pending")
    assert run(shop, "logs", "-f", "talker").stdout == "one\ntwo\n"
    assert run(shop, "logs", "talker", "--tail=1").stdout == "two\n"
    shop.peers.until(lambda: shop.phases()["talker"][0] == "Succeeded")
    shop.kubectl("delete", "pod", "talker")


def test_what_a_container_said_before_it_was_started_again_is_kept(shop: Shop) -> None:
    fail = {"name": "main", "image": IMAGE, "command": ["sh", "-c", "echo once; exit 3"]}
    shop.pod("faulty", containers=[fail])
    shop.peers.until(lambda: run(shop, "logs", "-p", "faulty").stdout == "once\n")
    (there,) = [p for p in shop.at_home() if p["metadata"]["name"] == "faulty"]
    assert there["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 3
    shop.kubectl("delete", "pod", "faulty", "--grace-period=1")


def test_a_job_that_runs_there_is_complete_here(shop: Shop) -> None:
    spec = abroad(containers=[{"name": "main", "image": IMAGE, "command": ["true"]}], restartPolicy="Never")
    shop.apply(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": "work"},
            "spec": {"completions": 2, "template": {"spec": spec}},
        }
    )
    shop.kubectl("wait", "--for=condition=Complete", "job/work", "--timeout=60s")
    shop.kubectl("delete", "job", "work")


def test_a_port_is_forwarded_to_the_container(shop: Shop, pod: str) -> None:
    forward = [sys.executable, "-c", FORWARD, str(CONNECTIONS), "-n", NAMESPACE, f"pod/{pod}", ":8080"]
    done = shop.peers.lab.exec(HOME, forward)
    assert done.stdout.split() == [pod] * CONNECTIONS, done.stderr


@pytest.mark.parametrize("mebibytes", SIZES)
def test_files_are_copied_in_and_out_byte_by_byte(
    shop: Shop, pod: str, tmp_path: Path, mebibytes: int
) -> None:
    sent, got = tmp_path / "sent", tmp_path / "got"
    sent.write_bytes(random.Random(mebibytes).randbytes(MIB) * mebibytes)
    assert run(shop, "cp", str(sent), f"{pod}:/tmp/file").returncode == 0
    assert run(shop, "cp", f"{pod}:/tmp/file", str(got)).returncode == 0
    with sent.open("rb") as one, got.open("rb") as other:
        assert hashlib.file_digest(one, "sha256").digest() == hashlib.file_digest(other, "sha256").digest()
