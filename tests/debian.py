"""Programs of Debian for tests, unpacked into the user's cache: nothing is installed."""

import fcntl
import os
import subprocess
from pathlib import Path

import pytest

HINT = "hint: the tests need Debian's packages: apt-get update"


def unpack(*packages: str) -> Path:
    """Return a folder with the files of these packages, downloaded once; skip where there is no apt-get.

    The libraries that they need beside the machine's own have to be among them.
    """
    folder = (
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        / "liqo"
        / "debian"
        / "-".join(packages)
    )
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / ".complete").exists():
            return folder
        try:
            for package in packages:
                _download(package, folder)
        except FileNotFoundError:
            pytest.skip(f"not shown here: {packages[0]} comes from Debian, and there is no apt-get")
        for archive in folder.glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", archive, folder], check=True)
            archive.unlink()
        (folder / ".complete").touch()
    return folder


def _download(package: str, folder: Path) -> None:
    for attempt in ("download", "update"):
        if attempt == "update" and os.geteuid() == 0:
            subprocess.run(["apt-get", "update", "-q"], check=False, capture_output=True)
        done = subprocess.run(
            ["apt-get", "download", "-q", package], cwd=folder, capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            return
    (pytest.skip if os.geteuid() else pytest.fail)(f"{package} cannot be had: {done.stderr[-300:]}\n{HINT}")


def library_path(folder: Path) -> dict[str, str]:
    """Return the environment in which programs of the folder find their libraries."""
    found = {str(path.parent) for path in folder.rglob("*.so*")}
    return {"LD_LIBRARY_PATH": ":".join(sorted(found)), "PATH": os.environ["PATH"]}
