import os
from pathlib import Path

import pytest

from liqo.cli.durations import parse_span
from liqo.cli.lab import tell_left_out
from liqo.errors import Invalid, Refused
from liqo.lab.folder import IGNORE, IGNORE_TEXT, default_folder, is_lab, locked, remove
from liqo.lab.pytest_plugin import wait_until
from liqo.lab.spec import ClusterSpec, Mode
from liqo.lab.status import ClusterStatus, ComponentStatus, forge_status


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("+5m", 300),
        ("-90s", -90),
        ("1h30m", 5400),
        ("0", 0),
        ("-0", 0),
        ("+1.5s", 1.5),
        ("250ms", 0.25),
        ("2d", 172_800),
    ],
)
def test_a_duration_is_signed_and_has_units(text: str, seconds: float) -> None:
    assert parse_span(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "+-5m", "5 m", "5x", "1h30"])
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(Invalid):
        parse_span(text)


@pytest.mark.parametrize(
    ("mode", "liqo", "lan", "told"),
    [
        (Mode.LOOPBACK, True, True, True),
        (Mode.LOOPBACK, True, False, False),
        (Mode.LOOPBACK, False, True, False),
        (Mode.ROOT, True, True, False),
        (Mode.USER, True, False, False),
    ],
)
def test_a_lan_agent_that_is_left_out_is_told(mode: Mode, liqo: bool, lan: bool, told: bool) -> None:
    spec = ClusterSpec(name="rome", index=1, folder=Path("/lab/rome"), mode=mode, liqo=liqo, lan=lan)
    text = tell_left_out([spec])
    assert bool(text) == told
    assert not told or ("in rome: loopback" in text and "hint: " in text)


def test_the_folder_is_named_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_folder({}) == tmp_path / ".lab"
    assert default_folder({"LIQO_LAB_DIR": "/some/lab"}) == Path("/some/lab")


def test_a_folder_with_something_else_in_it_is_neither_used_nor_deleted(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(Refused), locked(tmp_path):
        pass
    with pytest.raises(Refused):
        remove(tmp_path)
    assert (tmp_path / "thesis.txt").exists()


def test_a_lab_that_was_killed_at_birth_is_still_known_as_one(tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    with locked(folder):
        pass
    assert (folder / IGNORE).read_text() == IGNORE_TEXT
    assert is_lab(folder)
    remove(folder)
    assert not folder.exists()
    remove(folder)


def test_status_is_the_documented_json() -> None:
    cluster = ClusterStatus(
        name="rome",
        kubeconfig=Path("/lab/rome/admin.kubeconfig"),
        api_url="https://10.77.0.11:6443",
        cluster_id="",
        namespace="liqo",
        components=(ComponentStatus("etcd", 7, ready=True), ComponentStatus("kwok", None, ready=False)),
    )
    assert not cluster.ready
    assert forge_status((cluster,)) == {
        "clusters": [
            {
                "name": "rome",
                "kubeconfig": "/lab/rome/admin.kubeconfig",
                "apiUrl": "https://10.77.0.11:6443",
                "clusterID": "",
                "namespace": "liqo",
                "components": [
                    {"name": "etcd", "pid": 7, "ready": True},
                    {"name": "kwok", "pid": None, "ready": False},
                ],
            }
        ]
    }


def test_waiting_returns_what_was_seen() -> None:
    answers = iter([0, None, "there"])
    assert wait_until(lambda: next(answers)) == "there"


def test_waiting_in_vain_tells_the_last_failure() -> None:
    with pytest.raises(AssertionError, match="KeyError: 'ABSENT'"):
        wait_until(lambda: os.environ["ABSENT"], timeout=0)
    with pytest.raises(AssertionError, match=r"returned \[\]"):
        wait_until(list, timeout=0)
