"""Pods of rome that really run on milan: containers, their logs, commands in them, files, ports and Services.

What a fake pod cannot show is shown here: the end of a command's input, its exit code, a file that is copied in,
packets between pods, a container that takes its time to end.
"""

import hashlib
import os
import random
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from liqo.lab.image import IMAGE
from liqo.lab.lab import LIQO
from offloading import FOREIGN, HOME, Shop, abroad, is_ready
from offloading import REAL_NAMESPACE as NAMESPACE
from terminals import RESIZED, follow_size

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a real node"),
]

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
WEB = {
    "name": "web",
    "image": IMAGE,
    "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1, "timeoutSeconds": 30},
}
LAST_WORDS = """
trap 'echo told to stop; until test -e /tmp/go; do sleep 0.1; done; echo bye; exit 0' TERM
echo begun
sleep 600 & wait
"""
COUNT = "i=0; while echo $i; do i=$((i + 1)); sleep 0.1; done"
PRE_STOP = {"exec": {"command": ["sh", "-c", "echo before that > /proc/1/fd/1"]}}
NOWHERE = "127.0.0.1:1/none:1"  # an image that no registry has


@pytest.fixture(scope="module")
def shop(real_shop: Shop) -> Shop:
    """A web server of rome that runs in milan."""
    real_shop.deploy(1, containers=[WEB])
    real_shop.peers.until(lambda: real_shop.is_running(1))
    return real_shop


@pytest.fixture
def pod(shop: Shop) -> str:
    """The web server; other tests' pods may still be ending beside it."""
    return shop.kubectl("get", "pods", "-l", "app=web", "-o", "name").strip().removeprefix("pod/")


def run(
    shop: Shop, *argv: str, data: str | None = None, timeout: float = 60.0
) -> subprocess.CompletedProcess[str]:
    return shop.peers.lab.exec(HOME, ["kubectl", "-n", NAMESPACE, *argv], text=data, timeout=timeout)


def lines(shop: Shop, *argv: str) -> list[str]:
    return run(shop, *argv).stdout.splitlines()


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


@pytest.mark.parametrize("cut", ["by a kill", pytest.param("by a partition", marks=pytest.mark.long)])
def test_logs_that_are_followed_end_where_they_are_cut_off_and_are_taken_up_again_there(
    shop: Shop, cut: str
) -> None:
    lab = shop.peers.lab
    shop.pod("counts", containers=[{"name": "main", "image": IMAGE, "command": ["sh", "-c", COUNT]}])
    shop.peers.until(lambda: run(shop, "logs", "counts").stdout)
    follow = lab.command(HOME, ["kubectl", "-n", NAMESPACE, "logs", "-f", "--timestamps", "counts"])
    with subprocess.Popen(follow.argv, env=follow.env, stdout=subprocess.PIPE, text=True) as follower:
        assert follower.stdout
        heard = [follower.stdout.readline() for _ in range(10)]
        if cut == "by a kill":
            lab.kill(HOME, LIQO)
        else:
            lab.partition(HOME, FOREIGN)
        try:
            rest, _ = follower.communicate()
        finally:
            lab.heal(HOME, FOREIGN)
            lab.start(HOME, LIQO)
    heard += [line for line in rest.splitlines(keepends=True) if line.endswith("\n")]
    since = f"--since-time={heard[-1].split()[0]}"
    missed = shop.peers.until(partial(lines, shop, "logs", "counts", "--timestamps", since))
    numbers = list(dict.fromkeys(int(line.split()[1]) for line in [*heard, *missed]))
    assert numbers == list(range(len(numbers)))
    assert len(missed) > 1
    shop.kubectl("delete", "pod", "counts", "--now")


def test_what_a_container_said_before_it_was_started_again_is_kept(shop: Shop) -> None:
    fail = {"name": "main", "image": IMAGE, "command": ["sh", "-c", "echo once; exit 3"]}
    shop.pod("faulty", containers=[fail])
    shop.peers.until(lambda: run(shop, "logs", "-p", "faulty").stdout == "once\n")
    state = "{.status.containerStatuses[0].lastState.terminated.exitCode}"
    shop.peers.until(lambda: shop.kubectl("get", "pod", "faulty", "-o", f"jsonpath={state}") == "3")
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
    shop.peers.until(lambda: shop.kubectl("wait", "--for=condition=Complete", "job/work", "--timeout=20s"))
    shop.kubectl("delete", "job", "work")


def test_a_port_is_forwarded_to_the_container(shop: Shop, pod: str) -> None:
    forward = [sys.executable, "-c", FORWARD, str(CONNECTIONS), "-n", NAMESPACE, f"pod/{pod}", ":8080"]
    done = shop.peers.lab.exec(HOME, forward)
    assert done.stdout.split() == [pod] * CONNECTIONS, done.stderr


@pytest.mark.seconds(400)
@pytest.mark.parametrize("mebibytes", SIZES)
def test_files_are_copied_in_and_out_byte_by_byte(
    shop: Shop, pod: str, tmp_path: Path, mebibytes: int
) -> None:
    sent, got = tmp_path / "sent", tmp_path / "got"
    sent.write_bytes(random.Random(mebibytes).randbytes(MIB) * mebibytes)
    assert run(shop, "cp", str(sent), f"{pod}:/tmp/file", timeout=150).returncode == 0
    assert run(shop, "cp", f"{pod}:/tmp/file", str(got), timeout=150).returncode == 0
    with sent.open("rb") as one, got.open("rb") as other:
        assert hashlib.file_digest(one, "sha256").digest() == hashlib.file_digest(other, "sha256").digest()


def test_a_command_under_a_terminal_follows_its_size(shop: Shop, pod: str) -> None:
    command = shop.peers.lab.command(
        HOME, ["kubectl", "-n", NAMESPACE, "exec", "-it", pod, "--", "sh", "-c", RESIZED]
    )
    follow_size(command)


def test_a_service_answers_from_the_pods_of_both_clusters_in_both(shop: Shop) -> None:
    """The packets go from a pod on each side to a pod on each side."""
    sides = {"near": {"nodeSelector": {"kubernetes.io/hostname": f"{HOME}-real"}}, "far": abroad()}
    for name, spec in sides.items():
        labels = {"app": "both"}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}}
        shop.apply({**pod, "spec": {**spec, "containers": [WEB], "hostname": name, "subdomain": "each"}})
    for name, more in {"both": {}, "each": {"clusterIP": "None"}}.items():
        spec = {"selector": {"app": "both"}, "ports": [{"port": 8080}], **more}
        shop.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec})
    shop.peers.until(lambda: all(heard(shop, asker) == set(sides) for asker in sides))
    shop.kubectl("label", "pod", "far", "app-")
    shop.peers.until(lambda: all(heard(shop, asker) == {"near"} for asker in sides))
    shop.kubectl("delete", "pod", *sides, "--now")
    shop.kubectl("delete", "service", "both", "each")


def heard(shop: Shop, asker: str) -> set[str]:
    """Return which pods a pod hears through the Service, and each by its own name too."""
    by_name = {name for name in ("near", "far") if answers(shop, asker, f"{name}.each", 1) == {name}}
    return by_name if by_name == answers(shop, asker, "both") else set()


def answers(shop: Shop, asker: str, host: str, times: int = 12) -> set[str]:
    """Return which pods answer a pod that asks again and again."""
    ask = f"for i in $(seq {times}); do wget -qO- http://{host}:8080/; done"
    return set(run(shop, "exec", asker, "--", "sh", "-c", ask).stdout.split())


def test_a_stateful_set_begins_one_after_another_and_keeps_its_names(shop: Shop) -> None:
    labels = {"app": "kept"}
    shop.apply(
        {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"name": "kept"},
            "spec": {
                "replicas": 2,
                "serviceName": "kept",
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": abroad(containers=[WEB])},
            },
        }
    )
    spec = {"selector": labels, "clusterIP": "None", "ports": [{"port": 8080}]}
    shop.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "kept"}, "spec": spec})
    first, second = shop.peers.until(lambda: both_ready(shop))
    since = next(c["lastTransitionTime"] for c in first["status"]["conditions"] if c["type"] == "Ready")
    assert second["metadata"]["creationTimestamp"] >= since
    shop.kubectl("delete", "pod", "kept-0")
    again, _ = shop.peers.until(lambda: both_ready(shop))
    assert again["metadata"]["uid"] != first["metadata"]["uid"]
    shop.peers.until(lambda: answers(shop, "kept-1", "kept-0.kept", 1) == {"kept-0"})
    shop.kubectl("delete", "service,statefulset", "kept")


def both_ready(shop: Shop) -> list[Any]:
    """Return the two pods of the StatefulSet, in order, as soon as both run in milan; nothing before."""
    there = [p for p in shop.on_foreign() if p["metadata"]["name"].startswith("kept-") and is_ready(p)]
    stands_for = {p["metadata"]["annotations"]["liqo.io/home-uid"] for p in there}
    found = [p for p in shop.at_home() if p["metadata"]["uid"] in stands_for and is_ready(p)]
    return sorted(found, key=lambda p: str(p["metadata"]["name"])) if len(found) == 2 else []


def test_a_pod_that_is_deleted_stays_until_its_container_has_ended(shop: Shop) -> None:
    container = {"name": "main", "image": IMAGE, "command": ["sh", "-c", LAST_WORDS]}
    name = "says-bye"
    shop.pod(
        name, containers=[container | {"lifecycle": {"preStop": PRE_STOP}}], terminationGracePeriodSeconds=50
    )
    shop.peers.until(lambda: run(shop, "logs", name).stdout == "begun\n")
    command = shop.peers.lab.command(HOME, ["kubectl", "-n", NAMESPACE, "logs", "-f", name])
    with subprocess.Popen(command.argv, env=command.env, stdout=subprocess.PIPE, text=True) as follower:
        shop.kubectl("delete", "pod", name, "--wait=false")
        shop.peers.until(lambda: "told to stop" in run(shop, "logs", name).stdout)
        here, there = (one(pods, name) for pods in (shop.at_home(), shop.on_foreign()))
        assert {p["metadata"]["deletionGracePeriodSeconds"] for p in (here, there)} == {50}
        assert "running" in here["status"]["containerStatuses"][0]["state"]
        run(shop, "exec", name, "--", "touch", "/tmp/go")
        assert follower.stdout
        assert follower.stdout.read() == "begun\nbefore that\ntold to stop\nbye\n"
        assert follower.wait(30) == 0
    shop.peers.until(lambda: one(shop.at_home(), name) is None)
    assert one(shop.on_foreign(), name) is None


def one(pods: list[Any], name: str) -> Any:
    return next((p for p in pods if p["metadata"]["name"] == name), None)


def test_an_image_that_is_not_to_be_had_is_told_with_the_kubelet_s_words(shop: Shop) -> None:
    shop.pod("pulls", containers=[{"name": "main", "image": NOWHERE, "imagePullPolicy": "IfNotPresent"}])
    shop.peers.until(lambda: shop.waiting("pulls")[0] == "ErrImagePull")
    shop.peers.until(lambda: shop.waiting("pulls")[0] == "ImagePullBackOff")
    selector = "involvedObject.name=pulls,reason=Failed,type=Warning"
    events = ("events", "-n", NAMESPACE, "--field-selector", selector)
    shop.peers.until(lambda: any(NOWHERE in e["message"] for e in shop.peers.items(HOME, *events)))
    shop.kubectl("delete", "pod", "pulls", "--now")


@pytest.mark.long  # a kubelet looks at the size of a volume about once a minute
def test_a_pod_that_takes_more_than_its_volume_has_is_evicted_there_and_here(shop: Shop) -> None:
    fill = "head -c 3000000 /dev/zero >/told/zeros; sleep 600"
    mounts = [{"name": "told", "mountPath": "/told"}]
    container = {"name": "main", "image": IMAGE, "command": ["sh", "-c", fill], "volumeMounts": mounts}
    shop.pod("fills", containers=[container], volumes=[{"name": "told", "emptyDir": {"sizeLimit": "1Mi"}}])
    shop.peers.until(lambda: shop.phases()["fills"] == ("Failed", "Evicted"), 300)
    here, there = (one(pods, "fills")["status"] for pods in (shop.at_home(), shop.on_foreign()))
    assert "exceeds the limit" in here["message"]
    assert here["message"] == there["message"]
    shop.kubectl("delete", "pod", "fills")
