"""Golden arguments and files of a real node: a change to what runs shows in the diff of real.txt (UPDATE=1)."""

import io
import json
import os
import resource
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from liqo.errors import Invalid, Refused, Unavailable
from liqo.lab.build import KUBERNETES_PROGRAMS, NODE, PROGRAMS, read_sources, source_folder
from liqo.lab.image import COMMANDS, IMAGE, forge_images
from liqo.lab.node_space import check_folder
from liqo.lab.progress import Silent
from liqo.lab.real import REAL_PARTS, cgroup_name, cgroup_prefix, real_components
from liqo.lab.settle import check_real, with_cluster
from liqo.lab.spec import DEFAULT_NODES, MAX_NODES, REAL_NODE, ClusterSpec, Mode
from liqo.lab.state import State, format_state, parse_state
from liqo.lab.watchers import check_watchers

GOLDEN = Path(__file__).parent / "real.txt"
ROME = ClusterSpec(name="rome", index=1, folder=Path("/lab/rome"), mode=Mode.ROOT, real=True)
EMPTY = State(folder=Path("/lab"), mode=Mode.ROOT)
TOOLS = Path("/tools")


def test_a_real_node_is_these_programs_and_files() -> None:
    text = ""
    for part in real_components(ROME, TOOLS, "/tools/lib"):
        env = "".join(f"\n  {key}={value}" for key, value in part.env.items())
        args = "".join(f"\n  {arg}" for arg in part.args)
        files = "".join(f"\n--- {name}\n{content}" for name, content in part.files.items())
        text += f"{part.name}: {part.program}{env}{args}{files}\n"
    if os.environ.get("UPDATE"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


def test_its_parts_have_names_of_their_own() -> None:
    names = [part.name for part in real_components(ROME, TOOLS, "")]
    assert names == [*REAL_PARTS]
    assert not set(names) & {*PROGRAMS, *KUBERNETES_PROGRAMS}


def test_its_programs_are_of_the_same_kubernetes_and_start_alike() -> None:
    newest, node = read_sources(source_folder()), read_sources(source_folder(NODE))
    assert node["main.go"] == newest["main.go"]

    def kubernetes(sources: dict[str, bytes]) -> set[str]:
        lines = (line.split("//")[0].split() for line in sources["go.mod"].decode().splitlines())
        return {" ".join(line) for line in lines if any(word.startswith("k8s.io/") for word in line)}

    assert kubernetes(node) <= kubernetes(newest)


def test_the_pods_of_a_real_node_have_a_range_of_their_own() -> None:
    assert REAL_NODE > MAX_NODES
    assert ROME.node_cidr(REAL_NODE) == "10.129.251.0/24"


def test_labs_and_clusters_have_cgroups_of_their_own() -> None:
    others = (
        replace(ROME, name="milan", folder=Path("/lab/milan")),
        replace(ROME, folder=Path("/lab2/rome")),
    )
    assert len({cgroup_name(spec) for spec in (ROME, *others)}) == 3
    assert cgroup_name(ROME).startswith(cgroup_prefix(Path("/lab")))


def content(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    assert file
    return file.read()


def test_the_images_share_one_layer_and_are_equal_each_time() -> None:
    archive = forge_images(b"program", ("sh", "busybox", "httpd"))
    assert archive == forge_images(b"program", ("httpd", "sh"))
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        manifest = json.loads(content(tar, "manifest.json"))
        assert [image["RepoTags"] for image in manifest] == [[name] for name in COMMANDS]
        (layers,) = {tuple(image["Layers"]) for image in manifest}
        with tarfile.open(fileobj=io.BytesIO(content(tar, layers[0]))) as layer:
            assert layer.getmember("bin/busybox").mode == 0o755
            assert layer.getmember("bin/httpd").linkname == "busybox"
            assert layer.getmember("tmp").mode == 0o1777
    assert not IMAGE.endswith(":latest")


@pytest.mark.parametrize("mode", [Mode.USER, Mode.LOOPBACK])
def test_only_root_has_real_nodes(mode: Mode) -> None:
    with pytest.raises(Refused, match="only root") as refused:
        check_real(replace(ROME, mode=mode))
    assert "--real" in refused.value.hint


def test_an_older_kubernetes_has_none() -> None:
    with pytest.raises(Invalid, match="of the newest only") as refused:
        check_real(replace(ROME, kubernetes="1.31"))
    assert "--kubernetes" in refused.value.hint


@pytest.mark.parametrize("folder", ["/run/lab", "/var/lib/x/lab", "/var/log", "/proc/x"])
def test_a_lab_that_a_node_would_not_see_is_refused(folder: str) -> None:
    with pytest.raises(Refused, match="cannot be in") as refused:
        check_folder(Path(folder))
    assert "LIQO_LAB_DIR" in refused.value.hint
    check_folder(Path("/var/tmp/lab"))


@pytest.mark.parametrize(
    ("nodes", "real", "fake"),
    [(None, None, DEFAULT_NODES), (None, True, 0), (2, True, 2), (None, False, DEFAULT_NODES)],
)
def test_beside_a_real_node_fake_ones_are_asked_for(nodes: int | None, real: bool | None, fake: int) -> None:
    state = with_cluster(EMPTY, "rome", nodes=nodes, anonymous=None, real=real, liqo=None, ports={})
    assert (state.clusters["rome"].nodes, state.clusters["rome"].real) == (fake, bool(real))
    again = with_cluster(state, "rome", nodes=None, anonymous=None, real=None, liqo=None, ports={})
    assert again == state


def test_a_real_node_may_come_later_and_fake_ones_stay() -> None:
    state = with_cluster(EMPTY, "rome", nodes=5, anonymous=None, liqo=None, ports={})
    later = with_cluster(state, "rome", nodes=None, anonymous=None, real=True, liqo=None, ports={})
    assert (later.clusters["rome"].nodes, later.clusters["rome"].real) == (5, True)
    assert parse_state(Path("/lab"), format_state(later)) == later


def test_a_kernel_that_is_full_of_watchers_gets_room_for_more_and_otherwise_it_is_told(
    tmp_path: Path,
) -> None:
    limit = tmp_path / "max_user_instances"
    limit.write_text("128\n")
    before = len(list(Path("/proc/self/fd").iterdir()))
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (before + 3, limits[1])
    )  # for us the same, and for nobody else
    try:
        with pytest.raises(Unavailable, match="inotify") as refused:
            check_watchers(Silent(), seconds=0, limit=limit)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert "max_user_instances" in refused.value.hint
    assert limit.read_text() == "1024\n"
    assert len(list(Path("/proc/self/fd").iterdir())) == before
