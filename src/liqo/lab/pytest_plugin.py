"""Fixtures with real clusters. Register with `pytest_plugins = ["liqo.lab.pytest_plugin"]`.

    @pytest.mark.lab
    def test_two_clusters_reach_each_other(pair: Lab) -> None:
        done = pair.exec("rome", ["kubectl", "--server", pair.cluster("milan").api_url, "version"])

`pytest --kubernetes 1.31` runs the same tests on an older Kubernetes, where they ask for none themselves.

Each worker of pytest-xdist has labs of its own, in folders of its own, which always come down at its end.
Within a worker they last the whole session: use names and namespaces of your own, or the `lab` factory.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol, TypeVar

import pytest

from liqo.lab.build import NEWEST
from liqo.lab.lab import Lab

T = TypeVar("T")
PAUSE_SECONDS = 0.05
EVENTUALLY_SECONDS = 30.0


class LabFactory(Protocol):
    """Makes labs."""

    def __call__(
        self,
        *names: str,
        nodes: int | None = None,
        anonymous: bool = True,
        loopback: bool = False,
        real: bool = False,
    ) -> Lab:
        """Return a new lab with these clusters up, without Liqo; with no names it is empty."""
        ...


class Eventually(Protocol):
    """Waits for the state of the world."""

    def __call__(self, look: Callable[[], T], timeout: float = EVENTUALLY_SECONDS) -> T:
        """Return what `look` returns, as soon as that is true and it raises nothing.

        Raises:
            AssertionError: not within `timeout` seconds; it tells the last failure.
        """
        ...


def wait_until(look: Callable[[], T], timeout: float = EVENTUALLY_SECONDS) -> T:
    """Call `look` until it raises nothing and returns something true; return that.

    Args:
        look: looks at the world; called again and again.
        timeout: seconds.

    Raises:
        AssertionError: it never was; the last failure is its cause.
    """
    pause = threading.Event()
    deadline = time.monotonic() + timeout
    while True:
        failure: Exception | None = None
        try:
            seen = look()
        except Exception as exc:  # noqa: BLE001  whatever it is, it may be over next time
            failure, said = exc, f"it raised {type(exc).__name__}: {exc}"
        else:
            if seen:
                return seen
            said = f"it returned {seen!r}"
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {timeout:g} s; the last time {said}") from failure
        pause.wait(PAUSE_SECONDS)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that chooses the Kubernetes of all clusters."""
    parser.addoption(
        "--kubernetes", metavar="VERSION", default=NEWEST, help="an older Kubernetes for the lab's clusters"
    )


@pytest.fixture(scope="session")
def eventually() -> Eventually:
    """Wait for the state of the world instead of sleeping."""
    return wait_until


@pytest.fixture(scope="session")
def lab_factory(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[LabFactory]:
    """Make labs that last as long as the session."""
    with ExitStack() as stack:
        yield _factory(tmp_path_factory.mktemp, stack, pytestconfig.getoption("--kubernetes"))


@pytest.fixture
def lab(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[LabFactory]:
    """Make labs for one test: stop, kill and cut in them as you like."""
    with ExitStack() as stack:
        yield _factory(tmp_path_factory.mktemp, stack, pytestconfig.getoption("--kubernetes"))


@pytest.fixture(scope="session")
def plane(lab_factory: LabFactory) -> Lab:
    """One cluster, `rome`, without Liqo."""
    return lab_factory("rome")


@pytest.fixture(scope="session")
def pair(lab_factory: LabFactory) -> Lab:
    """Two clusters, `rome` and `milan`, on one LAN, without Liqo."""
    return lab_factory("rome", "milan")


def _factory(mktemp: Callable[[str], Path], stack: ExitStack, kubernetes: str) -> LabFactory:
    def make(
        *names: str,
        nodes: int | None = None,
        anonymous: bool = True,
        loopback: bool = False,
        real: bool = False,
    ) -> Lab:
        made = Lab(mktemp("lab"), kubernetes=kubernetes)
        stack.callback(made.down)
        if names:
            made.up(names, nodes=nodes, anonymous=anonymous, liqo=False, loopback=loopback, real=real)
        return made

    return make
