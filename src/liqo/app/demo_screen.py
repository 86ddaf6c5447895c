"""What a demo shows: when a step was done, and each command that a person would type beside what it prints."""

import shlex
from collections.abc import Callable
from datetime import datetime

from liqo.lab.lab import Lab
from liqo.runtime.ports import Clock

Say = Callable[[str], None]


class Screen:
    """Runs commands in the clusters of a lab for somebody who watches.

    Args:
        lab: its clusters.
        say: shows a line.
        clock: tells how long it takes.
    """

    def __init__(self, lab: Lab, say: Say, clock: Clock) -> None:
        self.lab, self.say, self.clock = lab, say, clock
        self._start: datetime = clock.now()

    def step(self, text: str) -> None:
        """Say what is done, and after how many seconds."""
        self.say(f"{(self.clock.now() - self._start).total_seconds():6.1f} s  {text}")

    def doing(self, text: str) -> None:
        """Say what goes on until the next line."""
        self.lab.progress.doing(text)

    def file(self, text: str) -> None:
        """Show a file."""
        self.say("")
        for line in text.splitlines():
            self.say(f"    {line}".rstrip())
        self.say("")

    def run(self, name: str, *args: str) -> str:
        """Show a kubectl command and run it in a cluster; return what it prints.

        Raises:
            Refused: it fails; the message is what it said.
        """
        self.say(f"  {name}$ kubectl {shlex.join(args)}")
        self.doing("waiting for the answer")
        return self.lab.kubectl(name, *args).strip()

    def show(self, name: str, *args: str) -> None:
        """Run a kubectl command as `run` does, and show what it prints."""
        self.say(self.run(name, *args))
