"""Builds the lab's programs from our Go module at first use; kept per hash of the sources.

One binary holds etcd, the Kubernetes programs, kwok and CoreDNS; symbolic links give each its name.
"""

import fcntl
import hashlib
import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from liqo.errors import Unavailable
from liqo.lab.progress import Progress
from liqo.lab.toolchain import find_go

PROGRAMS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubectl",
    "kwok",
    "coredns",
)
_KUBERNETES = re.compile(r"^\s*(?:require\s+)?k8s\.io/kubernetes\s+(v\S+)", re.MULTILINE)
PACKAGES = 2_850  # so many are compiled with empty caches; the last minute links them
_TAIL = 15


@dataclass(frozen=True, slots=True)
class Binaries:
    """The built programs."""

    folder: Path
    version: str  # of Kubernetes, "v1.37.2"

    def path(self, program: str) -> str:
        """Return the path of one of PROGRAMS."""
        return str(self.folder / "bin" / program)


def source_folder() -> Path:
    """Return where the Go module is: inside an installed package, or at the top of a checkout."""
    installed = Path(__file__).parent / "source"
    return installed if installed.is_dir() else Path(__file__).parents[3] / "lab"


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
    """Return the version of Kubernetes that go.mod requires."""
    match = _KUBERNETES.search(go_mod)
    if match is None:
        raise ValueError("go.mod requires no k8s.io/kubernetes")
    return match[1]


def ensure_binaries(progress: Progress) -> Binaries:
    """Return the programs, built first if these sources never were.

    Two at once build once: the second waits. A build that was killed leaves nothing that counts.

    Raises:
        Unavailable: they cannot be built; the hint says why.
    """
    sources = read_sources(source_folder())
    cache = cache_folder(os.environ)
    folder = cache / source_hash(sources)
    binaries = Binaries(folder, kubernetes_version(sources["go.mod"].decode()))
    if not (folder / "bin" / PROGRAMS[-1]).exists():
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / "lock", progress):
            if not (folder / "lab").exists():
                _build(source_folder(), folder / "lab", binaries.version, find_go(cache, progress), progress)
            _link(folder)
    return binaries


def _link(folder: Path) -> None:
    """Give each program its name; the last link says that all are there."""
    (folder / "bin").mkdir(exist_ok=True)
    for program in PROGRAMS:
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
    progress.say(
        "building etcd, Kubernetes, kwok and CoreDNS from source: once, 6 to 10 minutes on two cores"
        " (about 1.5 GB of Go modules are fetched)"
    )
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
            progress.doing(describe(modules, packages, time.monotonic() - begun))
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


def describe(modules: int, packages: int, seconds: float) -> str:
    """Return one line about how far a build is."""
    elapsed = f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
    if packages:
        return f"compiling: {packages} of about {PACKAGES} packages, {elapsed} so far"
    return f"fetching modules: {modules}, {elapsed} so far"
