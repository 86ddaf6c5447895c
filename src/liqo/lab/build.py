"""Builds the lab's programs from our Go modules at first use; kept per hash of the sources.

One binary holds etcd, the Kubernetes programs, kwok and CoreDNS; symbolic links give each its name. An older
Kubernetes is a binary of its own, of Kubernetes' own programs only; the others are everywhere the newest. So are
the programs of a real node, and metrics-server, which few labs need.
"""

import fcntl
import hashlib
import os
import re
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from liqo.errors import Invalid, Unavailable
from liqo.lab.progress import Progress
from liqo.lab.toolchain import find_go

NEWEST = ""  # the Kubernetes of a cluster that asks for none
KUBERNETES_PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
PROGRAMS = ("etcd", *KUBERNETES_PROGRAMS, "kwok", "coredns")
NODE = "node"  # the folder of a real node's programs, and what they are called by where a Kubernetes is
NODE_PROGRAMS = ("kubelet", "kube-proxy", "cluster-dns")
METRICS = "metrics"  # the folder of metrics-server, and what it is called by likewise
METRICS_PROGRAMS = ("metrics-server",)
_KUBERNETES = re.compile(
    r"^\s*(?:require\s+)?(?:k8s\.io/kubernetes|sigs\.k8s\.io/metrics-server)\s+(v\S+)", re.MULTILINE
)
_OLDER = re.compile(r"v(\d+)\.(\d+)")  # the folder of an older Kubernetes
PACKAGES = 2_850  # so many are compiled with empty caches; the last minute links them
OLDER_PACKAGES = 2_450
NODE_PACKAGES = 150  # beside those that the build before has left in Go's cache
METRICS_PACKAGES = 1_200
FIRST_BUILD = "6 to 10 minutes on two cores (about 1.5 GB of Go modules are fetched)"
_TAIL = 15


@dataclass(frozen=True, slots=True)
class Binaries:
    """The built programs of one Kubernetes."""

    folder: Path
    version: str  # of Kubernetes, "v1.37.2"; or of metrics-server

    def path(self, program: str) -> str:
        """Return the path of one of PROGRAMS; of an older Kubernetes, one of KUBERNETES_PROGRAMS."""
        return str(self.folder / "bin" / program)


def source_folder(kubernetes: str = NEWEST) -> Path:
    """Return where a Go module is: inside an installed package, or at the top of a checkout."""
    installed = Path(__file__).parent / "source"
    newest = installed if installed.is_dir() else Path(__file__).parents[3] / "lab"
    if kubernetes in (NODE, METRICS):
        return newest / kubernetes
    return newest / f"v{kubernetes}" if kubernetes else newest


def older_versions() -> tuple[str, ...]:
    """Return the older versions of Kubernetes that there are, the oldest first: "1.31"."""
    found = (_OLDER.fullmatch(path.name) for path in source_folder().glob("v*"))
    numbers = sorted((int(match[1]), int(match[2])) for match in found if match)
    return tuple(f"{major}.{minor}" for major, minor in numbers)


def check_kubernetes(text: str) -> str:
    """Return one of the older versions of Kubernetes, or NEWEST.

    Raises:
        Invalid: there is no such version in the lab; the hint lists those that there are.
        Unavailable: the Go modules are not there.
    """
    newest = kubernetes_version(read_sources(source_folder())["go.mod"].decode())[1:].rpartition(".")[0]
    older = older_versions()
    if text in (NEWEST, newest):
        return NEWEST
    if text not in older:
        known = ", ".join((*older, newest))
        raise Invalid(f"the lab has no Kubernetes {text!r}", hint=f"--kubernetes takes {known}")
    return text


def cache_folder(env: Mapping[str, str]) -> Path:
    """Return the folder for what was built (XDG Base Directory specification)."""
    base = env.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "liqo" / "lab"


def read_sources(folder: Path) -> dict[str, bytes]:
    """Return the files that decide what is built, by name.

    Raises:
        Unavailable: they are not there.
    """
    names = sorted(
        path for path in folder.glob("*") if path.suffix == ".go" or path.name in ("go.mod", "go.sum")
    )
    if not names:
        raise Unavailable(f"the lab's Go module is not in {folder}", hint="install liqo again")
    return {path.name: path.read_bytes() for path in names}


def source_hash(sources: Mapping[str, bytes]) -> str:
    """Return the SHA-256 over names and contents, in hex."""
    digest = hashlib.sha256()
    for name, content in sorted(sources.items()):
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def kubernetes_version(go_mod: str) -> str:
    """Return the version of Kubernetes, or of metrics-server, that go.mod requires."""
    match = _KUBERNETES.search(go_mod)
    if match is None:
        raise ValueError("go.mod requires no k8s.io/kubernetes")
    return match[1]


def ensure_binaries(progress: Progress, kubernetes: str = NEWEST) -> Binaries:
    """Return the programs, built first if these sources never were.

    Two at once build once: the second waits. A build that was killed leaves nothing that counts.

    Args:
        progress: where it says how far it is.
        kubernetes: which; NEWEST or an older one.

    Raises:
        Invalid: the lab has no such Kubernetes.
        Unavailable: they cannot be built; the hint says why.
    """
    older = check_kubernetes(kubernetes)
    return _ensure(progress, source_folder(older), KUBERNETES_PROGRAMS if older else PROGRAMS)


def ensure_node_binaries(progress: Progress) -> Binaries:
    """Return the programs of a real node, NODE_PROGRAMS, built first if need be; always of the newest Kubernetes.

    The programs of a cluster come before them: nearly all packages are of both, and how long this takes is told as
    what is left then.

    Raises:
        Unavailable: they cannot be built; the hint says why.
    """
    ensure_binaries(progress)
    return _ensure(progress, source_folder(NODE), NODE_PROGRAMS)


def ensure_metrics_binaries(progress: Progress) -> Binaries:
    """Return metrics-server, METRICS_PROGRAMS, built first if need be.

    Raises:
        Unavailable: it cannot be built; the hint says why.
    """
    return _ensure(progress, source_folder(METRICS), METRICS_PROGRAMS)


def _ensure(progress: Progress, source: Path, programs: Sequence[str]) -> Binaries:
    """Return these programs of a Go module."""
    sources = read_sources(source)
    cache = cache_folder(os.environ)
    folder = cache / source_hash(sources)
    binaries = Binaries(folder, kubernetes_version(sources["go.mod"].decode()))
    if not (folder / "bin" / programs[-1]).exists():
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / "lock", progress):
            if not (folder / "lab").exists():
                _build(source, folder / "lab", binaries.version, find_go(cache, progress), progress)
            _link(folder, programs)
    return binaries


def _link(folder: Path, programs: Iterable[str]) -> None:
    """Give each program its name; the last link says that all are there."""
    (folder / "bin").mkdir(exist_ok=True)
    for program in programs:
        link = folder / "bin" / program
        if not link.is_symlink():
            link.symlink_to("../lab")


@contextmanager
def _locked(path: Path, progress: Progress) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            progress.say("somebody else is building the lab's programs; waiting for that")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(source: Path, target: Path, version: str, go: str, progress: Progress) -> None:
    what, packages_in_all, cost = "etcd, Kubernetes, kwok and CoreDNS", PACKAGES, FIRST_BUILD
    if source.name == NODE:
        what, packages_in_all, cost = "kubelet, kube-proxy and CoreDNS", NODE_PACKAGES, "a minute or two"
    elif source.name == METRICS:
        what, packages_in_all, cost = "metrics-server", METRICS_PACKAGES, "two or three minutes"
    elif _OLDER.fullmatch(source.name):
        what, packages_in_all = f"Kubernetes {version}", OLDER_PACKAGES
    progress.say(f"building {what} from source: once, {cost}")
    env = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off"}
    fresh = target.with_name(f"lab.{os.getpid()}")
    flags = f"-s -w -X k8s.io/component-base/version.gitVersion={version}"
    argv = [go, "build", "-v", "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", str(fresh), "."]
    begun = time.monotonic()
    # Its output is unbuffered lines: a module that is fetched, or a package that was compiled.
    with subprocess.Popen(
        argv, cwd=source, env=env, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr
        last: list[str] = []
        modules = packages = 0
        for line in process.stderr:
            last = [*last[1 - _TAIL :], line.rstrip()]
            modules, packages = count(line, modules, packages)
            progress.doing(describe(modules, packages, packages_in_all, time.monotonic() - begun))
    if process.returncode:
        fresh.unlink(missing_ok=True)
        said = "\n".join(last)
        raise Unavailable(
            f"the lab's programs cannot be built:\n{said}",
            hint="check that the network and 6 GB of disk are there, then run it again; it goes on where it was",
        )
    fresh.replace(target)
    progress.say(f"built in {time.monotonic() - begun:.0f} s; kept in {target.parent}")


def count(line: str, modules: int, packages: int) -> tuple[int, int]:
    """Count what a line of `go build -v` tells: a module fetched, or a package begun."""
    if line.startswith("go: downloading "):
        return modules + 1, packages
    return (modules, packages) if line.startswith(("go: ", "#")) else (modules, packages + 1)


def describe(modules: int, packages: int, packages_in_all: int, seconds: float) -> str:
    """Return one line about how far a build is."""
    elapsed = f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
    if packages:
        return f"compiling: {packages} of about {packages_in_all} packages, {elapsed} so far"
    return f"fetching modules: {modules}, {elapsed} so far"
