"""Waits for a program to become ready; the one place of the lab that looks again after a pause."""

import threading
import time
from collections.abc import Callable

PAUSE_SECONDS = 0.05


def until(done: Callable[[], bool], *, seconds: float, cancelled: threading.Event | None = None) -> bool:
    """Ask until it is so; return False when it is not within that time, or when somebody cancels."""
    pause = cancelled or threading.Event()
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() >= deadline or pause.wait(PAUSE_SECONDS):
            return False
    return True
