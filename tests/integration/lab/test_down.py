"""What is left after the worst; labs beside each other; ordinary users; no LAN at all."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from liqo.errors import Refused
from liqo.lab.lab import Lab
from liqo.lab.process import FOLDER_MARK, end, find
from liqo.lab.pytest_plugin import Eventually, LabFactory
from liqo.lab.spec import Mode
from ordinary import Ordinary

pytestmark = pytest.mark.lab
Stranger = Callable[[str], list[str]]


def pids() -> list[str]:
    return [path.name for path in Path("/proc").iterdir() if path.name.isdigit()]


def marked(folder: Path) -> set[str]:
    """Every process of a lab, found without the code that is tested."""
    files = [f"/proc/{pid}/environ" for pid in pids()]
    argv = ["grep", "-lzs", f"^{FOLDER_MARK}={folder}$", *files]
    return set(subprocess.run(argv, capture_output=True, text=True, check=False).stdout.split())


def namespace(pid: str) -> str:
    try:
        return str(Path(f"/proc/{pid}/ns/net").readlink())
    except OSError:
        return ""


def interfaces() -> set[str]:
    return {path.name for path in Path("/sys/class/net").iterdir()}


def test_down_leaves_nothing_whatever_was_killed_before(lab: LabFactory, eventually: Eventually) -> None:
    before = interfaces()
    made = lab("rome", nodes=1)
    inside = {namespace(str(running.pid)) for running in find(made.folder)} - {namespace("self")}
    there = pids()  # of others, one that begins later may get a namespace by the number of one of these
    killed = []
    for cluster, part in (
        ("rome", "etcd"),
        ("rome", "relay"),
        ("rome", "holder"),
        ("lan", "holder"),
        ("rome", "kwok"),
    ):
        ours = [r for r in find(made.folder) if (r.cluster, r.part) == (cluster, part)]
        end(ours, made.folder, term_seconds=0)
        killed += ours
    assert killed
    shutil.rmtree(made.folder / "rome" / "pki")
    (made.folder / "lab.json").write_text("{")
    assert made.down()
    eventually(lambda: not marked(made.folder))
    assert not made.folder.exists()
    assert interfaces() == before
    eventually(lambda: not [pid for pid in there if namespace(pid) in inside])
    assert not made.down()


def test_down_finds_processes_whose_folder_is_gone(lab: LabFactory, eventually: Eventually) -> None:
    made = lab("rome", nodes=0)
    shutil.rmtree(made.folder)
    assert made.down()
    eventually(lambda: not marked(made.folder))


def test_up_mends_what_was_killed_and_keeps_what_was_stored(lab: LabFactory) -> None:
    made = lab("rome", nodes=0)
    if made.cluster("rome").mode is Mode.LOOPBACK:
        (pytest.skip if os.geteuid() else pytest.fail)("this machine lets nobody make a network")
    made.kubectl("rome", "create", "configmap", "kept", "-n", "default")
    for killed in ({"rome/holder", "rome/relay", "rome/kube-apiserver"}, {"lan/holder"}):
        ours = [r for r in find(made.folder) if f"{r.cluster}/{r.part}" in killed]
        assert len(ours) == len(killed)
        end(ours, made.folder, term_seconds=0)
        assert "kube-apiserver" in made.up().started["rome"]
        assert (
            made.kubectl("rome", "get", "configmap", "kept", "-n", "default", "-o", "name")
            == "configmap/kept\n"
        )


def test_two_labs_with_equal_addresses_live_side_by_side(
    plane: Lab, lab: LabFactory, eventually: Eventually
) -> None:
    other = lab("rome", nodes=1)
    assert other.folder != plane.folder
    if other.cluster("rome").ports:
        assert other.cluster("rome").api_url == plane.cluster("rome").api_url
    assert other.kubectl("rome", "get", "nodes", "-o", "name") == "node/rome-node-1\n"
    assert len(plane.kubectl("rome", "get", "nodes", "-o", "name").splitlines()) == 3
    other.down()
    eventually(lambda: all(cluster.ready for cluster in plane.status()))


def test_without_a_lan_there_are_loopback_addresses(
    lab: LabFactory, eventually: Eventually, stranger: Stranger
) -> None:
    made = lab("rome", nodes=1, anonymous=False, loopback=True)
    spec = made.cluster("rome")
    assert spec.host.startswith("127.77.")
    made.kubectl("rome", "-n", "default", "run", "runs", "--image=fake")
    eventually(lambda: "Running" in made.kubectl("rome", "-n", "default", "get", "pod", "runs"))
    assert made.exec("rome", stranger(f"{spec.api_url}/version")).stdout == "401\n"
    made.up(["milan"], nodes=0, liqo=False)
    with pytest.raises(Refused, match="no LAN") as refused:
        made.partition("rome", "milan")
    assert refused.value.hint
    assert made.down()
    eventually(lambda: not marked(made.folder))


def test_an_ordinary_user_has_a_lan_too(
    ordinary: Ordinary, eventually: Eventually, stranger: Stranger
) -> None:
    ordinary.liqo_lab("up", "rome", "milan", "--nodes", "1", "--no-liqo")
    clusters = json.loads(ordinary.liqo_lab("status", "-o", "json"))["clusters"]
    assert all(component["ready"] for cluster in clusters for component in cluster["components"])
    url = next(cluster["apiUrl"] for cluster in clusters if cluster["name"] == "milan")
    assert url.startswith("https://10.77.0.")
    ask = stranger(f"{url}/version")
    assert ordinary.liqo_lab("exec", "rome", "--", *ask) == "200\n"
    ordinary.liqo_lab("partition", "rome", "milan")
    ordinary.liqo_lab("heal", "rome", "milan")
    assert ordinary.liqo_lab("exec", "rome", "--", *ask) == "200\n"
    ordinary.liqo_lab("down")
    eventually(lambda: not marked(ordinary.home / "lab"))
    assert not (ordinary.home / "lab").exists()
