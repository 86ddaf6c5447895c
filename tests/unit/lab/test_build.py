from pathlib import Path

import pytest

from liqo.errors import Invalid, Unavailable
from liqo.lab.build import (
    METRICS,
    NEWEST,
    NODE,
    PACKAGES,
    cache_folder,
    check_kubernetes,
    count,
    describe,
    kubernetes_version,
    older_versions,
    read_sources,
    source_folder,
    source_hash,
)
from liqo.lab.toolchain import parse_version

SOURCES = {"go.mod": b"module x", "main.go": b"package main"}


def test_the_hash_knows_every_byte_and_name_but_no_order() -> None:
    same = dict(reversed(SOURCES.items()))
    assert source_hash(SOURCES) == source_hash(same)
    others = [
        SOURCES | {"main.go": b"package mai"},
        SOURCES | {"more.go": b""},
        {"go.mod": b"module xpackage main", "main.go": b""},
        {"go.mod": b"module x", "main2.go": b"package main"},
    ]
    assert len({source_hash(each) for each in [SOURCES, *others]}) == 5


def test_the_sources_of_this_checkout_are_found() -> None:
    sources = read_sources(source_folder())
    assert {"go.mod", "go.sum", "main.go"} <= sources.keys()
    assert kubernetes_version(sources["go.mod"].decode()).startswith("v1.")


def test_each_older_kubernetes_has_a_module_of_its_own_and_the_same_sources() -> None:
    newest = read_sources(source_folder())
    for version in older_versions():
        older = read_sources(source_folder(version))
        assert kubernetes_version(older["go.mod"].decode()).startswith(f"v{version}.")
        shared = older.keys() - {"go.mod", "go.sum"}
        assert {name: older[name] for name in shared} == {name: newest[name] for name in shared}
        assert shared == {"main.go", "kubernetes.go", "kubectl.go"}


def test_what_few_labs_need_has_a_module_of_its_own() -> None:
    for folder in (NODE, METRICS):
        sources = read_sources(source_folder(folder))
        assert kubernetes_version(sources["go.mod"].decode()).startswith("v")
        assert sources["main.go"] == read_sources(source_folder())["main.go"]


def test_a_kubernetes_that_there_is_not_is_told_with_those_that_there_are() -> None:
    newest = kubernetes_version(read_sources(source_folder())["go.mod"].decode())
    minor = ".".join(newest.removeprefix("v").split(".")[:2])
    assert check_kubernetes(NEWEST) == check_kubernetes(minor) == NEWEST
    assert [check_kubernetes(version) for version in older_versions()] == [*older_versions()]
    for unknown in ("1.2", "v1.31", newest, "../lab"):
        with pytest.raises(Invalid, match="no Kubernetes") as refused:
            check_kubernetes(unknown)
        assert "1.31, " in refused.value.hint
        assert minor in refused.value.hint


def test_missing_sources_are_said(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="not in"):
        read_sources(tmp_path)


@pytest.mark.parametrize(
    ("go_mod", "version"),
    [
        ("require k8s.io/kubernetes v1.37.2\n", "v1.37.2"),
        ("require sigs.k8s.io/metrics-server v0.9.0\n", "v0.9.0"),
        ("require (\n\tk8s.io/kubectl v0.0.0\n\tk8s.io/kubernetes v1.38.0-rc.1 // x\n)\n", "v1.38.0-rc.1"),
    ],
)
def test_the_version_comes_from_go_mod(go_mod: str, version: str) -> None:
    assert kubernetes_version(go_mod) == version


def test_a_go_mod_without_kubernetes_is_our_mistake() -> None:
    with pytest.raises(ValueError, match="kubernetes"):
        kubernetes_version("module x")


def test_the_cache_is_where_the_user_keeps_caches() -> None:
    assert cache_folder({"XDG_CACHE_HOME": "/cache"}) == Path("/cache/liqo/lab")
    # A relative path is to be ignored (XDG Base Directory specification).
    assert cache_folder({"XDG_CACHE_HOME": "cache"}) == cache_folder({}) == Path.home() / ".cache/liqo/lab"


def test_progress_counts_modules_and_then_packages() -> None:
    modules = packages = 0
    for line in [
        "go: downloading a v1\n",
        "go: downloading b v1\n",
        "go: warning\n",
        "# x\n",
        "k8s.io/api/core\n",
    ]:
        modules, packages = count(line, modules, packages)
    assert (modules, packages) == (2, 1)
    assert describe(2, 0, PACKAGES, 5) == "fetching modules: 2, 0:05 so far"
    assert describe(2, 1, 2850, 65.4) == "compiling: 1 of about 2850 packages, 1:05 so far"


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26)),
        ("go version go1.27rc1 linux/arm64", (1, 27)),
        ("go version devel +1a2b3c", None),
        ("", None),
    ],
)
def test_the_version_of_go_is_read(said: str, version: tuple[int, int] | None) -> None:
    assert parse_version(said) == version
