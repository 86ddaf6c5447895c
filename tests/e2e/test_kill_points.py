"""A controller killed with -9 before and after each of its API writes, by a proxy before the real API servers."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from e2e_peers import Peers, names, uninstall
from e2e_proxied import FRONTS, LIVE, Behind, Point, behind_proxy
from liqo.app.demo import NAME
from liqo.lab.pytest_plugin import Eventually, LabFactory

pytestmark = [pytest.mark.lab, pytest.mark.long]

Names = dict[str, list[str]]

JTI = re.compile(r"(?<=[a-z2-7]{32}-)[a-z2-7]{16}$")  # of a FederationRequest's name: new in each join
QUIET_LOOKS = 12  # so many looks in a row without a write: it is over
MOST = 20  # writes of one name by one side in one join or unjoin; there are fewer, and the test says so
LASTING = (
    "namespaces,nodes,clusterroles,clusterrolebindings,fc,adv,fr,sa,roles,rolebindings,secrets,configmaps"
)


@dataclass
class Proxied(Behind):
    """Two peers whose controllers may be killed at any write."""

    apart: Names = field(default_factory=dict)  # what is there without a peering,
    joined: Names = field(default_factory=dict)  # and with one
    # What each side writes undisturbed, by name and whether it leaves.
    writes: dict[tuple[str, bool], list[str]] = field(default_factory=dict)

    def settle(self, victim: str, is_done: Callable[[], bool]) -> bool:
        """Wait until it is done, with the victim started again if it was killed; return whether it was."""
        self.peers.until(lambda: self.tell()[1] or is_done())
        self.quiet()
        if killed := self.tell()[1]:
            self.restart(victim)
            self.peers.until(is_done)
        return killed

    def quiet(self) -> None:
        """Wait until the watched one writes nothing more, or is dead."""
        seen: list[int] = []

        def is_quiet() -> bool:
            writes, killed = self.tell()
            seen.append(len(writes))
            return bool(killed) or seen[-QUIET_LOOKS:] == [seen[-1]] * QUIET_LOOKS

        self.peers.until(is_quiet)

    def is_joined(self) -> bool:
        """Return whether home shows one Ready node, and both sides hold each other's newest token."""
        (advertisement,) = self.peers.items("rome", "adv", "-n", "liqo")
        return self.peers.is_ready("rome") and bool(advertisement["status"].get("tokenSeen"))

    def is_apart(self) -> bool:
        return self.peers.is_clean("rome") and self.peers.is_clean("milan")

    def until_there_is(self, wanted: Names) -> None:
        """Wait until there is that and nothing else."""

        def is_there() -> bool:
            found = self.names()
            assert found.keys() == wanted.keys()
            wrong = [name for side in wanted for name in {*found[side]} ^ {*wanted[side]}]
            assert not wrong, f"missing or too much: {wrong}"
            return True

        self.peers.until(is_there)

    def names(self) -> Names:
        """Return everything of the kinds that a peering makes, by side."""
        return {
            side: sorted(
                "/".join((o["kind"], o["metadata"].get("namespace", ""), JTI.sub("", o["metadata"]["name"])))
                for o in self.peers.items(side, LASTING, "-A")
            )
            for side in FRONTS
        }


@pytest.fixture(scope="module")
def proxied(
    lab_factory: LabFactory, eventually: Eventually, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxied]:
    lab = lab_factory(*FRONTS)
    before = {side: names(Peers(lab, eventually), side) for side in FRONTS}
    with behind_proxy(lab, eventually, tmp_path_factory.mktemp("proxy")) as behind:
        made = Proxied(behind.peers, behind.proxy, behind.fronts, behind.folder)
        made.apart = made.names()
        for victim in FRONTS:
            learn(made, victim)
        yield made
        uninstall(made.peers, before)  # after all those deaths


def learn(proxied: Proxied, victim: str) -> None:
    """Join and unjoin undisturbed, and keep what there is then and what the victim writes."""
    kubectl = proxied.peers.lab.kubectl
    proxied.watch(victim)
    kubectl("rome", "apply", "-f", "-", text=proxied.manifest())
    proxied.settle(victim, proxied.is_joined)
    proxied.joined, proxied.writes[victim, False] = proxied.names(), proxied.tell()[0]
    proxied.watch(victim)
    kubectl("rome", "delete", "fc", NAME, "--wait=false")
    proxied.settle(victim, proxied.is_apart)
    proxied.writes[victim, True] = proxied.tell()[0]
    assert proxied.names() == proxied.apart


def killed_at(proxied: Proxied, victim: str, point: Point, *, leaving: bool) -> bool:
    """Run a join and an unjoin with one kill; return whether there was such a write."""
    kubectl = proxied.peers.lab.kubectl
    proxied.watch(victim, LIVE if leaving else point)
    kubectl("rome", "apply", "-f", "-", text=proxied.manifest())
    killed = proxied.settle(victim, proxied.is_joined)
    proxied.until_there_is(proxied.joined)
    proxied.watch(victim, point if leaving else LIVE)
    kubectl("rome", "delete", "fc", NAME, "--wait=false")
    killed = proxied.settle(victim, proxied.is_apart) or killed
    proxied.until_there_is(proxied.apart)
    return killed


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("leaving", [False, True], ids=["joining", "leaving"])
@pytest.mark.parametrize("victim", ["rome", "milan"])
def test_killed_at_each_write(proxied: Proxied, victim: str, *, leaving: bool, after: bool) -> None:
    undisturbed = Counter(proxied.writes[victim, leaving])
    met: Counter[str] = Counter()
    for write in undisturbed:
        for at in range(1, MOST):
            point = Point(write, at, after)
            try:
                killed = killed_at(proxied, victim, point, leaving=leaving)
            except AssertionError as exc:
                raise AssertionError(f"killed at {point}: {exc}") from exc
            if not killed:
                break
            met[write] += 1
    assert met.keys() == undisturbed.keys(), "each was met"
    assert max(met.values()) < MOST - 1
