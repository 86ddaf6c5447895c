"""kubectl exec, attach, cp and port-forward of pods that run on foreign.

The pods are fake, but what answers there is not: milan's kwok speaks a kubelet's streaming protocols, and runs the
commands on this machine, as whoever runs the tests. Two things it does not do as a kubelet: a command never sees the
end of its input, so that `kubectl cp` into a pod hangs with or without Liqo, and it puts exit codes into words.
"""

import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from e2e_peers import Peers
from liqo.app.lab import up_with_liqo
from liqo.lab import plane
from liqo.lab.nodes import forge_kwok_config
from liqo.lab.pytest_plugin import Eventually, LabFactory
from offloading import FOREIGN, HOME, Shop, abroad
from terminals import RESIZED, follow_size

pytestmark = pytest.mark.lab

NAMESPACE = "shop"
POD = "web"
CONNECTIONS = 20
MIB = 2**20

FORWARD = """
import subprocess, sys, threading, urllib.request
with subprocess.Popen(["kubectl", "port-forward", *sys.argv[2:]], stdout=subprocess.PIPE, text=True) as forward:
    port = forward.stdout.readline().rpartition(" -> ")[0].rpartition(":")[2]
    start, found = threading.Barrier(int(sys.argv[1])), []
    def get():
        start.wait()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=30) as answer:
            found.append(answer.read())
    threads = [threading.Thread(target=get) for _ in range(int(sys.argv[1]))]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    forward.terminate()
print(found.count(b"ok\\n"))
"""


def with_exec(stages: str, pod_log: Path) -> str:
    """Return kwok's configuration with commands, an attached log, and ports."""
    specs: dict[str, Any] = {
        "ClusterExec": {"execs": [{"local": {"workDir": str(pod_log.parent)}}]},
        "ClusterAttach": {"attaches": [{"logsFile": str(pod_log)}]},
        "ClusterPortForward": {"forwards": [{"target": {"address": "10.77.0.12", "port": 8080}}]},
    }
    docs = [
        {"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": kind, "metadata": {"name": "pods"}, "spec": spec}
        for kind, spec in specs.items()
    ]
    return forge_kwok_config(stages, pod_log) + "".join(f"---\n{json.dumps(doc)}\n" for doc in docs)


@pytest.fixture(scope="module")
def pod(lab_factory: LabFactory, eventually: Eventually) -> Iterator[Shop]:
    """A pod of rome that runs in milan."""
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(plane, "forge_kwok_config", with_exec)
        lab = lab_factory()
        stack.callback(lab.down)
        up_with_liqo(lab, (HOME, FOREIGN), lan=False, kubelet_ca=True)
        peers = Peers(lab, eventually)
        shop = Shop(peers, NAMESPACE)
        lab.kubectl(HOME, "create", "namespace", NAMESPACE)
        lab.kubectl(HOME, "label", "namespace", NAMESPACE, "liqo.io/enabled=true")
        peers.apply_seed(HOME, FOREIGN)
        peers.until(partial(peers.is_ready, HOME))
        shop.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": POD}, "spec": abroad()})
        peers.until(lambda: shop.is_running(1))
        yield shop


def run(shop: Shop, *argv: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    return shop.peers.lab.exec(HOME, ["kubectl", "-n", NAMESPACE, *argv], text=text)


def test_exec_says_what_it_says_on_foreign_itself(pod: Shop) -> None:
    command = ("exec", POD, "--", "sh", "-c", "echo out; echo err >&2; exit 7")
    here = run(pod, *command)
    there = pod.peers.lab.exec(FOREIGN, ["kubectl", "-n", pod.remote, *command])
    assert (here.stdout, here.stderr, here.returncode) == (there.stdout, there.stderr, there.returncode)
    assert here.stdout == "out\n"
    assert here.stderr.startswith("err\n")


@pytest.mark.parametrize("mebibytes", [3, pytest.param(100, marks=pytest.mark.long)])
def test_exec_passes_input_on(pod: Shop, mebibytes: int) -> None:
    text = "".join(random.Random(6).choices("abcdefgh\n", k=MIB)) * mebibytes
    done = run(pod, "exec", "-i", POD, "--", "sh", "-c", f"head -c {len(text)} | sha256sum", text=text)
    said = f"{hashlib.sha256(text.encode()).hexdigest()}  -\n"
    assert (done.stdout, done.stderr, done.returncode) == (said, "", 0)


def test_exec_under_a_terminal_follows_its_size(pod: Shop) -> None:
    command = pod.peers.lab.command(
        HOME,
        [
            *("kubectl", "-n", NAMESPACE, "exec", "-it", POD, "--"),
            *("sh", "-c", RESIZED),
        ],
    )
    follow_size(command)


@pytest.mark.parametrize("mebibytes", [3, pytest.param(100, marks=pytest.mark.long)])
def test_files_are_copied_out_of_a_pod(pod: Shop, tmp_path: Path, mebibytes: int) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    there.write_bytes(random.Random(mebibytes).randbytes(MIB) * mebibytes)
    done = run(pod, "cp", f"{POD}:{there}", str(here))
    assert done.returncode == 0, done.stderr
    with there.open("rb") as sent, here.open("rb") as got:
        assert hashlib.file_digest(got, "sha256").digest() == hashlib.file_digest(sent, "sha256").digest()


def test_attach_shows_what_the_pod_says_from_then_on(pod: Shop) -> None:
    lab = pod.peers.lab
    log = lab.cluster(FOREIGN).folder / "pod.log"
    command = lab.command(HOME, ["kubectl", "-n", NAMESPACE, "attach", POD])
    with subprocess.Popen(
        command.argv, env=command.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout
        said = process.stdout
        os.set_blocking(said.fileno(), False)

        def heard() -> bool:
            with log.open("a") as file:
                file.write("2026-11-23T12:00:00Z stdout F now\n")
            return b"now" in (said.read() or b"")

        try:
            pod.peers.until(heard)
        finally:
            process.terminate()


def test_a_port_is_forwarded_for_twenty_at_once(pod: Shop) -> None:
    forward = [sys.executable, "-c", FORWARD, str(CONNECTIONS), "-n", NAMESPACE, f"pod/{POD}", ":80"]
    done = pod.peers.lab.exec(HOME, forward)
    assert done.stdout == f"{CONNECTIONS}\n", done.stderr


def test_logs_are_followed_and_followed_again(pod: Shop) -> None:
    lab = pod.peers.lab
    log = lab.cluster(FOREIGN).folder / "pod.log"
    command = lab.command(HOME, ["kubectl", "-n", NAMESPACE, "logs", "-f", POD])
    for word in ("first", "second"):
        with subprocess.Popen(command.argv, env=command.env, stdout=subprocess.PIPE, text=True) as follower:
            assert follower.stdout
            assert follower.stdout.readline() == "a fake pod of milan says hello\n"
            with log.open("a") as file:
                file.write(f"2026-11-23T12:00:00Z stdout F {word}\n")
            assert f"{word}\n" in iter(follower.stdout.readline, "")
            follower.terminate()


def test_what_cannot_be_run_is_told_in_foreign_s_words(pod: Shop) -> None:
    done = run(pod, "exec", POD, "--", "/no/such/program")
    assert done.returncode
    assert "no/such/program" in done.stderr
    assert run(pod, "logs", POD, "-c", "other").returncode
