"""The quotas of a tenant's namespaces together are at most its offer, at every moment, and get to where they should."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from liqo.api.quantity import UNIT, Amounts
from liqo.sharing.quota import Quota, spread

CPU = UNIT // 1000  # one milli, which cpu is shared out in
NAMES = ("a", "b", "c")


@dataclass
class Namespace:
    """A namespace as an API server has it: what is enforced follows what is asked, and pods stay below it."""

    asked: dict[str, int] = field(default_factory=dict)
    enforced: dict[str, int] | None = None
    used: int = 0

    @property
    def most(self) -> int:
        """What may be in use before long."""
        return max(self.asked.get("cpu", 0), (self.enforced or {}).get("cpu", 0), self.used)

    def quota(self) -> Quota | None:
        return Quota(self.asked, self.enforced, {"cpu": self.used}) if self.asked else None


@dataclass
class World:
    offer: int
    needs: dict[str, Amounts] = field(default_factory=dict)
    namespaces: dict[str, Namespace] = field(default_factory=lambda: {"a": Namespace()})

    def seen(self) -> dict[str, Quota | None]:
        return {name: n.quota() for name, n in self.namespaces.items()}

    def write(self) -> dict[str, Amounts]:
        """Have our controller look and write once."""
        written = spread({"cpu": self.offer}, self.seen(), self.needs)
        for name, amounts in written.items():
            self.namespaces[name].asked = dict(amounts)
        return written

    def rest(self) -> None:
        """Have both go on for as long as anything can change."""
        for _ in range(8):
            self.write()
            for name in NAMES:
                self.enforce(name)

    def enforce(self, name: str) -> None:
        """Have foreign's quota controller follow in one namespace."""
        if name in self.namespaces and self.namespaces[name].asked:
            self.namespaces[name].enforced = dict(self.namespaces[name].asked)

    def create(self, name: str, amount: int) -> None:
        """Have a pod created as far as admission lets it: against what is enforced."""
        found = self.namespaces.get(name)
        if found is not None and found.used + amount <= (found.enforced or {}).get("cpu", 0):
            found.used += amount

    def end(self, name: str, amount: int) -> None:
        """Have pods end."""
        if name in self.namespaces:
            self.namespaces[name].used = max(self.namespaces[name].used - amount, 0)

    def need(self, name: str, amount: int) -> None:
        """Have home say what its pods in one namespace ask for."""
        self.needs[name] = {"cpu": amount}

    @property
    def sum(self) -> int:
        return sum(n.most for n in self.namespaces.values())


AMOUNTS = st.integers(0, 400).map(lambda n: n * CPU)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write")),
        st.tuples(st.just("enforce"), st.sampled_from(NAMES)),
        st.tuples(st.just("create"), st.sampled_from(NAMES), AMOUNTS),
        st.tuples(st.just("end"), st.sampled_from(NAMES), AMOUNTS),
        st.tuples(st.just("need"), st.sampled_from(NAMES), AMOUNTS),
        st.tuples(st.just("namespace"), st.sampled_from(NAMES)),
    ),
    max_size=40,
)


def step(world: World, what: tuple[object, ...]) -> None:
    name, *args = what
    if name == "namespace":
        world.namespaces.setdefault(str(args[0]), Namespace())
    else:
        getattr(world, str(name))(*args)


@given(AMOUNTS, STEPS)
def test_they_are_never_more_than_the_offer_whatever_comes_first(
    offer: int, steps: list[tuple[object, ...]]
) -> None:
    world = World(offer)
    for what in steps:
        step(world, what)
        assert world.sum <= offer, what


@given(AMOUNTS, AMOUNTS, STEPS)
def test_one_that_shrinks_is_never_exceeded_by_more_than_what_was_given_before(
    before: int, after: int, steps: list[tuple[object, ...]]
) -> None:
    world = World(before)
    world.write()
    world.enforce("a")
    world.offer = after
    most = max(world.sum, after)
    for what in steps:
        step(world, what)
        assert world.sum <= most, what
        most = max(world.sum, after)


@given(AMOUNTS, AMOUNTS, STEPS)
def test_they_come_to_rest_with_the_whole_offer_given(
    before: int, after: int, steps: list[tuple[object, ...]]
) -> None:
    world = World(before)
    for what in steps:
        step(world, what)
    world.offer = after
    world.rest()
    assert not world.write()
    used = sum(n.used for n in world.namespaces.values())
    assert sum(n.asked["cpu"] for n in world.namespaces.values()) == after or used > after


@given(AMOUNTS, STEPS)
def test_what_is_needed_is_there_as_long_as_all_of_it_is_offered(
    offer: int, steps: list[tuple[object, ...]]
) -> None:
    world = World(offer)
    for what in steps:
        step(world, what)
    world.rest()
    wanted = {
        name: max(n.used, world.needs.get(name, {}).get("cpu", 0)) for name, n in world.namespaces.items()
    }
    if sum(wanted.values()) <= offer:
        assert all(world.namespaces[name].asked["cpu"] >= amount for name, amount in wanted.items())
