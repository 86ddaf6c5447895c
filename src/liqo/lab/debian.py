"""Programs from Debian's packages, unpacked into the user's cache: nothing is installed on the machine."""

import fcntl
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from liqo.errors import Unavailable
from liqo.lab.build import cache_folder
from liqo.lab.progress import Progress

# A node's: the libraries among them are what a small Debian lacks.
NODE_PACKAGES = (
    "containerd",
    "runc",
    "libseccomp2",
    "containernetworking-plugins",
    "nftables",
    "libnftables1",
    "libnftnl11",
    "libmnl0",
    "libjansson4",
    "libxtables12",
    "libgmp10",
    "libedit2",
    "libbsd0",
    "libmd0",
    "busybox-static",
)
DOWNLOAD_SECONDS = 300.0
HINT = "real nodes need Debian 12 or newer, or what is like it: apt-get update, then run it again"


def ensure_packages(progress: Progress, name: str, packages: Sequence[str]) -> Path:
    """Return a folder with the files of these packages, downloaded once; two at once download once.

    Args:
        progress: where it says what takes so long.
        name: of the folder.
        packages: all of them; what they depend on is not looked for.

    Raises:
        Unavailable: there is no apt-get, or a package cannot be had.
    """
    folder = cache_folder(os.environ).with_name("debian") / name
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = folder / ".complete"
        if done.exists() and done.read_text().split() == list(packages):
            return folder
        progress.say(f"fetching {len(packages)} packages of Debian: once, 40 MB; unpacked, not installed")
        for archive in _download(folder, packages):
            _run(("dpkg-deb", "-x", str(archive), str(folder)), folder)
            archive.unlink()
        done.write_text("\n".join(packages))
    return folder


def library_path(folder: Path) -> str:
    """Return where programs of that folder find its libraries, for LD_LIBRARY_PATH."""
    return ":".join(sorted({str(path.parent) for path in folder.rglob("*.so.*")}))


def _download(folder: Path, packages: Sequence[str]) -> list[Path]:
    argv = ("apt-get", "download", "-q", *packages)
    try:
        _run(argv, folder)
    except Unavailable:
        if os.geteuid() != 0:
            raise
        _run(("apt-get", "update", "-q"), folder)  # a fresh machine knows no packages at all
        _run(argv, folder)
    return sorted(folder.glob("*.deb"))


def _run(argv: Sequence[str], folder: Path) -> None:
    try:
        done = subprocess.run(
            argv, cwd=folder, capture_output=True, text=True, check=False, timeout=DOWNLOAD_SECONDS
        )
    except FileNotFoundError as exc:
        raise Unavailable(f"{argv[0]} is not here", hint=HINT) from exc
    except subprocess.TimeoutExpired as exc:
        raise Unavailable(f"{argv[0]} takes more than {DOWNLOAD_SECONDS:.0f} s", hint=HINT) from exc
    if done.returncode:
        raise Unavailable(f"{' '.join(argv[:2])}: {done.stderr.strip()[-300:]}", hint=HINT)
