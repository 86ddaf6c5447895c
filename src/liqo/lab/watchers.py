"""Room for programs that watch files: the kernel limits the inotify instances of all of a user's programs together.

A control plane has ten. Those that get none say little or nothing, and then miss changes: logs are not followed.
"""

import ctypes
import os
from contextlib import suppress
from pathlib import Path

from liqo.errors import Unavailable
from liqo.lab.progress import Progress
from liqo.lab.wait import until

LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")
ENOUGH = 1024
NODE_WATCHERS = 10  # of the programs of a real node, which need 8
LAB_WATCHERS = 64  # of some control planes
SECONDS = 30.0


def make_room(progress: Progress, limit: Path = LIMIT) -> None:
    """Have room for the programs of a lab, where we may make some."""
    if not _may_watch(LAB_WATCHERS):
        _raise_limit(progress, limit)


def check_watchers(progress: Progress, seconds: float = SECONDS, limit: Path = LIMIT) -> None:
    """Have the kernel let the programs of one more node watch files; wait that long for others to end.

    Its limit is for all programs of a user together, and of old: it is raised if need be, and stays so.

    Raises:
        Unavailable: it does not; they would end with errors that tell nobody why.
    """
    if not _may_watch(NODE_WATCHERS):
        _raise_limit(progress, limit)
    if not until(lambda: _may_watch(NODE_WATCHERS), seconds=seconds):
        raise Unavailable(
            f"the kernel does not let this user have {NODE_WATCHERS} more inotify instances, which a node needs",
            hint="end other labs, or raise the limit: sysctl fs.inotify.max_user_instances=1024",
        )


def _raise_limit(progress: Progress, limit: Path) -> None:
    """Raise the number of inotify instances that a user may have, where we may."""
    with suppress(OSError, ValueError):
        if (before := int(limit.read_text())) < ENOUGH:
            limit.write_text(f"{ENOUGH}\n")
            progress.say(f"fs.inotify.max_user_instances is {ENOUGH} now, and was {before}")


def _may_watch(count: int) -> bool:
    """Try to have so many more inotify instances; all are closed again."""
    libc = ctypes.CDLL(None)
    opened: list[int] = []
    while len(opened) < count and (descriptor := libc.inotify_init1(os.O_CLOEXEC)) >= 0:
        opened.append(descriptor)
    for descriptor in opened:
        os.close(descriptor)
    return len(opened) == count
