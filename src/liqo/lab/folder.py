"""The folder of a lab: who may use it now, and whether it is one at all."""

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from liqo.errors import Refused
from liqo.lab.state import FILE, write_private

DEFAULT = ".lab"
VARIABLE = "LIQO_LAB_DIR"
LOCK = "lock"
IGNORE = ".gitignore"
IGNORE_TEXT = "# a lab of liqo: git need not see it, and `liqo lab down` may delete it\n*\n"


def default_folder(env: Mapping[str, str]) -> Path:
    """Return the folder of the lab that commands are about: LIQO_LAB_DIR, else .lab here."""
    return Path(env.get(VARIABLE) or DEFAULT).resolve()


def is_lab(folder: Path) -> bool:
    """Say whether a folder is a lab's, so that it may be deleted."""
    if (folder / FILE).is_file():
        return True
    try:
        return (folder / IGNORE).read_text() == IGNORE_TEXT
    except OSError:
        return False


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a lab for one command at a time; makes its folder.

    Raises:
        Refused: the folder holds something else, or cannot be made.
    """
    while True:
        try:
            file = _open(folder)
        except OSError as exc:
            raise Refused(f"{folder} cannot be a lab: {exc.strerror}", hint=f"set {VARIABLE}") from exc
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not _is_current(file.fileno(), folder / LOCK):
                continue  # somebody took the lab down while we waited
            yield
            return


def remove(folder: Path) -> None:
    """Delete a lab's folder.

    Raises:
        Refused: it is none, or somebody else's.
    """
    if not folder.exists():
        return
    if not is_lab(folder):
        raise Refused(f"{folder} is not a lab's folder, so it is left alone", hint="delete it yourself")
    try:
        shutil.rmtree(folder)
    except OSError as exc:
        raise Refused(
            f"{folder} cannot be deleted: {exc}", hint="whoever brought the lab up has to end it"
        ) from exc


def _open(folder: Path) -> TextIO:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not is_lab(folder):
        if any(folder.iterdir()):
            raise Refused(f"{folder} is not empty and not a lab's", hint=f"set {VARIABLE} to a new folder")
        write_private(folder / IGNORE, IGNORE_TEXT)
    return (folder / LOCK).open("w")


def _is_current(descriptor: int, path: Path) -> bool:
    try:
        return os.fstat(descriptor).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False
