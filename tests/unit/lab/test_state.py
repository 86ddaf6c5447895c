from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqo.errors import Invalid, Malformed
from liqo.lab.spec import MAX_CLUSTERS, PORTS, ClusterSpec, Mode
from liqo.lab.state import State, format_state, parse_state, read_state, write_state

FOLDER = Path("/lab")
names = st.from_regex(r"[a-z][a-z0-9]{0,9}", fullmatch=True)


@st.composite
def states(draw: st.DrawFn) -> State:
    mode, subnet = draw(st.sampled_from(Mode)), draw(st.sampled_from(["10.77.0", "127.77.3"]))
    clusters = {
        name: ClusterSpec(
            name=name,
            index=index,
            folder=FOLDER / name,
            mode=mode,
            subnet=subnet,
            nodes=draw(st.integers(0, 250)),
            anonymous=draw(st.booleans()),
            kubernetes=draw(st.sampled_from(["", "1.31"])),
            kubelet_ca=draw(st.booleans()),
            metrics=draw(st.booleans()),
            liqo=draw(st.booleans()),
            skew=draw(st.floats(-1e6, 1e6)),
            ports=draw(st.dictionaries(st.sampled_from(sorted(PORTS)), st.integers(1, 65_535))),
        )
        for index, name in enumerate(draw(st.lists(names, unique=True, max_size=4)), 1)
    }
    return State(folder=FOLDER, mode=mode, subnet=subnet, serial=draw(st.integers(1, 999)), clusters=clusters)


@given(states())
def test_what_is_written_is_read(state: State) -> None:
    assert parse_state(FOLDER, format_state(state)) == state


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"version": 2}',
        '{"version": 1, "mode": "moon", "subnet": "", "serial": 1, "clusters": []}',
    ],
)
def test_anything_else_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        parse_state(FOLDER, text)


def test_no_file_is_no_lab(tmp_path: Path) -> None:
    assert read_state(tmp_path) is None
    assert read_state(tmp_path / "absent") is None


def test_a_lab_is_private(tmp_path: Path) -> None:
    state = State(folder=tmp_path, mode=Mode.ROOT)
    write_state(state)
    assert read_state(tmp_path) == state
    assert [(path.name, path.stat().st_mode & 0o777) for path in tmp_path.iterdir()] == [("lab.json", 0o600)]


def test_a_missing_cluster_is_named_with_those_that_there_are() -> None:
    spec = ClusterSpec(name="rome", index=1, folder=FOLDER / "rome", mode=Mode.ROOT)
    with pytest.raises(Invalid, match="milan") as refused:
        State(folder=FOLDER, mode=Mode.ROOT).having(spec).cluster("milan")
    assert "rome" in refused.value.hint


def test_a_lab_is_full_at_some_time() -> None:
    last = ClusterSpec(name="last", index=MAX_CLUSTERS, folder=FOLDER / "last", mode=Mode.ROOT)
    with pytest.raises(Invalid):
        State(folder=FOLDER, mode=Mode.ROOT).having(last).next_index()
