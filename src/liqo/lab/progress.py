"""Tells a person on stderr what takes so long; plain lines where there is no terminal."""

import time
from typing import Protocol, Self

from rich.console import Console
from rich.status import Status

LINE_EVERY_SECONDS = 15.0  # how often the same work says something without a terminal


class Progress(Protocol):
    """Where the lab says what it does."""

    def say(self, text: str) -> None:
        """Tell a fact that stays on the screen."""
        ...

    def doing(self, text: str) -> None:
        """Tell what goes on now; the next call replaces it."""
        ...


class Silent:
    """Says nothing; for tests."""

    def say(self, text: str) -> None:
        """Drop it."""

    def doing(self, text: str) -> None:
        """Drop it."""


class OnConsole:
    """Says it on stderr, with a spinner on a terminal; a context manager, so that the spinner ends."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._status: Status | None = None
        self._said = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.rest()

    def rest(self) -> None:
        """End the spinner until something is done again, so that others can print; what they say counts as told."""
        self._said = time.monotonic()
        if self._status:
            self._status.stop()
            self._status = None

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, markup=False, soft_wrap=True)

    def doing(self, text: str) -> None:
        """Show it beside a spinner; without a terminal print a line now and then, when it takes long."""
        if self._console.is_terminal:
            if self._status is None:
                self._status = self._console.status(text)
                self._status.start()
            self._status.update(text)
            return
        if time.monotonic() - self._said >= LINE_EVERY_SECONDS:
            self._said = time.monotonic()
            self.say(text)
