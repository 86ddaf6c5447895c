"""Somebody who may do nothing special on this machine."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from liqo.lab.build import Binaries, ensure_binaries
from liqo.lab.lab import Lab
from liqo.lab.progress import Silent

NOBODY = 65_534


@pytest.fixture
def ordinary() -> Iterator["Ordinary"]:
    if os.geteuid() != 0:
        pytest.skip("needs root, to become somebody else")
    home = Path("/tmp") / f"liqo-ordinary-{os.getpid()}"  # pytest's own folders are closed to others
    home.mkdir(mode=0o755)
    os.chown(home, NOBODY, NOBODY)
    user = Ordinary(home)
    try:
        if user.run(["unshare", "--user", "--map-root-user", "--net", "true"]).returncode:
            pytest.fail("the kernel lets ordinary users make no namespaces, so that no lab can be theirs")
        user.borrow(ensure_binaries(Silent()))
        yield user
    finally:
        Lab(home / "lab").down()
        shutil.rmtree(home)


class Ordinary:
    """A user without rights, who can read Python and our code even if they are in somebody's closed home."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def run(self, argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
        stash = self.home / "stash"
        base = Path(sys.base_prefix).resolve()
        closed = next((p for p in reversed(base.parents) if not p.stat().st_mode & 0o001), None)
        show = (
            f"mkdir -p {stash} && mount --bind {base} {stash} && mount -t tmpfs -o mode=755 none {closed}"
            f" && mkdir -p {base} && mount --bind {stash} {base} && umount {stash} && "
            if closed
            else ""
        )
        become = f'cd {self.home} && exec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups "$@"'
        env = {"HOME": str(self.home), "PATH": os.environ["PATH"], "LIQO_LAB_DIR": str(self.home / "lab")}
        return subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", show + become, "sh", *argv],
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )

    def liqo_lab(self, *args: str) -> str:
        done = self.run([sys.executable, "-m", "liqo.cli.lab", *args])
        assert done.returncode == 0, done.stderr
        return done.stdout

    def borrow(self, binaries: Binaries) -> None:
        """Put the built programs where this user looks for them."""
        folder = self.home / ".cache" / "liqo" / "lab" / binaries.folder.name
        shutil.copytree(binaries.folder, folder, symlinks=True)
        for path in (self.home / ".cache").rglob("*"):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
