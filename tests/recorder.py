"""Follows all pods of a foreign cluster through a whole test, and says whether one of home's ran there twice."""

import os
import signal
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from liqo.lab.lab import Lab
from liqo.lab.pytest_plugin import wait_until

LINE = (
    r'{.type}{" "}{.object.metadata.namespace}{"/"}{.object.metadata.name}{" "}{.object.metadata.uid}{" "}'
    r'{.object.metadata.annotations.liqo\.io/home-uid}{"\n"}'
)
FOLLOW = f"while :; do kubectl get pods -A -w --output-watch-events -o jsonpath='{LINE}'; sleep 0.2; done"
LAST = "end-of-the-record"  # a pod: when it is seen, so is all that was before
SEEN_SECONDS = 60.0  # an API server may just have come back


@contextmanager
def recorded(lab: Lab, cluster: str, file: Path) -> Iterator[None]:
    """Follow what happens, over deaths of the API server too, and fail at the end if a pod ran twice."""
    command = lab.command(cluster, ["sh", "-c", FOLLOW])
    with (
        file.open("wb") as record,
        subprocess.Popen(
            command.argv,
            env=command.env,
            stdin=subprocess.DEVNULL,
            stdout=record,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as follower,
    ):
        try:
            yield
            lab.kubectl(
                cluster, "run", LAST, "--image=none:1", "--overrides", '{"spec": {"nodeName": "none"}}'
            )
            wait_until(lambda: f"/{LAST} " in file.read_text(), SEEN_SECONDS)
        finally:
            os.killpg(follower.pid, signal.SIGKILL)
            lab.exec(cluster, ["kubectl", "delete", "pod", LAST, "--force", "--ignore-not-found"])
    lines = file.read_text().rpartition("\n")[0].splitlines()  # the last one may be cut short
    assert any(len(line.split()) == 4 for line in lines), "no pod of home's was ever there"
    assert ran_twice(lines) == []


def ran_twice(lines: Iterable[str]) -> list[str]:
    """Return what must not be: two pods at once that stand for one of home's, or another one after the first ended.

    Args:
        lines: change, place, uid, and uid of the pod at home, as LINE has them. One that is there under the name of
            another is the end of that, since a watch that begins anew does not tell what it missed.
    """
    there: dict[str, set[str]] = defaultdict(set)  # uids of pods that are there, by home's
    ended: set[str] = set()  # uids at home
    last: dict[str, tuple[str, str]] = {}  # who has a name, and for whom
    wrong = []
    for line in lines:
        change, place, uid, *home = line.split()
        if not home:
            continue
        old, stood_for = last.get(place, (uid, home[0]))
        if change == "DELETED":
            there[home[0]].discard(uid)
            ended.add(home[0])
            continue
        if old != uid:
            there[stood_for].discard(old)
            ended.add(stood_for)
        last[place] = uid, home[0]
        if uid in there[home[0]]:
            continue
        if there[home[0]]:
            wrong.append(f"{place} runs beside another for {home[0]}")
        if home[0] in ended:
            wrong.append(f"{place} runs again for {home[0]}")
        there[home[0]].add(uid)
    return wrong
