"""What all tests share: none hangs, no task is left behind, hypothesis draws the same examples everywhere."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from inspect import iscoroutinefunction

import pytest
from hypothesis import settings

settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("explore", max_examples=1_000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

pytest_plugins = ["liqo.lab.pytest_plugin"] if find_spec("liqo.lab.pytest_plugin") else []


TEST_SECONDS = 120  # far more than any takes on a busy machine
FIXTURE_SECONDS = 300  # a lab of several clusters, with its programs' first start
LONG_SECONDS = 1_200
FAREWELL_SECONDS = 5
AGAIN_SECONDS = 30  # what is cleaned up after a test that hung may hang too


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Fail what does not end, with the traceback of where it was."""

    def over(_signal: int, _frame: object) -> None:
        pytest.fail(f"not done after {seconds} s")  # past all who catch an Exception and try again

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _seconds(item: pytest.Item, otherwise: float) -> float:
    if own := item.get_closest_marker("seconds"):
        return float(own.args[0])
    return LONG_SECONDS if item.get_closest_marker("long") else otherwise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """Fail a fixture that never stands."""
    with _at_most(_seconds(item, FIXTURE_SECONDS)):
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Fail a test that does not end."""
    with _at_most(_seconds(item, TEST_SECONDS)):
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Fail a fixture that never goes."""
    with _at_most(_seconds(item, FIXTURE_SECONDS)):
        yield


@pytest.fixture(autouse=True)
def no_task_is_left_behind(request: pytest.FixtureRequest) -> None:
    """Fail a test that leaves a task running: it would have outlived what it worked on."""
    if iscoroutinefunction(getattr(request, "function", None)):
        request.getfixturevalue("all_tasks_end")


@pytest.fixture
async def all_tasks_end() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    left = asyncio.all_tasks() - before
    left.discard(asyncio.current_task())
    if left:  # one that was cancelled needs a turn to end, a server's needs the farewell of who was connected
        _, left = await asyncio.wait(left, timeout=FAREWELL_SECONDS)
    assert not left, f"left running: {left}"
