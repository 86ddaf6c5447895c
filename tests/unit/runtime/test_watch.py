"""List and watch: equal to the server once it is quiet, and never a busy loop, whatever it does."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from liqo.api.kinds import CONFIG_MAP
from liqo.api.meta import Key, Kind, Wire
from liqo.errors import (
    Absent,
    Expired,
    Fault,
    Forbidden,
    Invalid,
    Malformed,
    Overloaded,
    Unauthorized,
    Unreachable,
)
from liqo.runtime.ports import Page, Selection
from liqo.runtime.store import Store
from liqo.runtime.watch import (
    CAP,
    LONG_ENOUGH,
    MAX_PAGES,
    SILENT,
    TOO_LARGE,
    Changed,
    Deleted,
    Ended,
    Listed,
    ListPage,
    Phase,
    Progress,
    Reflector,
    State,
    Watch,
    next_request,
    step,
)
from manual_clock import FixedRandom, ManualClock, settle
from memory_cluster import MemoryCluster

RANDOM = FixedRandom()
SECOND = timedelta(seconds=1)
NONE = timedelta(0)
WATCHING = State(Phase.WATCHING, version="10")


def obj(name: str, version: int, data: int = 0) -> Wire:
    meta = {"name": name, "namespace": "x", "resourceVersion": str(version), "uid": name}
    return {"metadata": meta, "data": {"n": str(data)}}


def line(kind: str, name: str, version: int) -> Wire:
    return {"type": kind, "object": obj(name, version)}


def test_a_list_of_several_pages_is_told_when_it_is_complete() -> None:
    state, change = step(State(), Page([obj("a", 1)], "", "more"), RANDOM)
    assert (next_request(state), change, state.wait) == (ListPage("more"), None, NONE)
    state, change = step(state, Page([obj("b", 2)], "5"), RANDOM)
    assert change == Listed((obj("a", 1), obj("b", 2)), "5")
    assert next_request(state) == Watch("5")


def test_a_page_that_is_too_large_is_asked_for_in_parts_which_is_kept_in_mind() -> None:
    too_large = Malformed("over 4 MiB", reason=TOO_LARGE)
    state, _ = step(State(), Page([obj("a", 1)], "", "more"), RANDOM)
    asked = []
    for _ in range(4):
        state, _ = step(state, too_large, RANDOM)
        asked.append(next_request(state))
        assert state.wait > NONE
    assert asked[:3] == [ListPage("more", 62), ListPage("more", 7), ListPage("more", 1)]
    assert asked[3] == ListPage(
        "", 1
    )  # one object alone is too large: from the beginning, as after any fault
    state, change = step(state, Page([obj("a", 1)], "5"), RANDOM)
    assert change == Listed((obj("a", 1),), "5")
    state, _ = step(state, Ended(SECOND, Expired("old")), RANDOM)
    assert next_request(state) == ListPage("", 1)


@pytest.mark.parametrize(
    ("heard", "change", "version"),
    [
        (line("ADDED", "a", 11), Changed(obj("a", 11)), "11"),
        (line("MODIFIED", "a", 12), Changed(obj("a", 12)), "12"),
        (line("DELETED", "a", 13), Deleted(obj("a", 13)), "13"),
        ({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "14"}}}, Progress("14"), "14"),
        ({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "abc"}}}, Progress("abc"), "abc"),
    ],
    ids=["added", "modified", "deleted", "bookmark", "a version that is no number"],
)
def test_a_line_moves_a_watch_on(heard: Wire, change: object, version: str) -> None:
    state, told = step(WATCHING, heard, RANDOM)
    assert told == change
    assert next_request(state) == Watch(version)


@pytest.mark.parametrize(
    "heard",
    [
        {},
        {"type": "PARTY", "object": obj("a", 11)},
        {"type": "ADDED"},
        {"type": "ADDED", "object": []},
        {"type": "ADDED", "object": {"metadata": None}},
        {"type": "ADDED", "object": {"metadata": {"name": 5, "resourceVersion": "11"}}},
        {"type": "ADDED", "object": {"metadata": {"name": "a", "namespace": {}, "resourceVersion": "11"}}},
        {"type": "ADDED", "object": {"metadata": {"name": "a"}}},
        {"type": "BOOKMARK", "object": None},
        Page([{}], "5"),
        Page([], ""),
    ],
    ids=str,
)
def test_nonsense_is_malformed_and_costs_a_new_list_after_a_wait(heard: Page | Wire) -> None:
    with pytest.raises(Malformed) as caught:
        step(WATCHING if isinstance(heard, dict) else State(), heard, RANDOM)
    state, _ = step(WATCHING, Ended(NONE, caught.value), RANDOM)
    assert next_request(state) == ListPage("")
    assert state.wait > NONE


@pytest.mark.parametrize(
    ("lived", "fault", "asks", "wait"),
    [
        (300 * SECOND, None, Watch("10"), NONE),
        (70 * SECOND, Unreachable("quiet", reason=SILENT), Watch("10"), NONE),
        (SECOND, None, Watch("10"), SECOND / 2),
        (300 * SECOND, Unreachable("cut"), Watch("10"), SECOND / 2),
        (300 * SECOND, Expired("old"), ListPage(""), SECOND / 2),
        (NONE, Expired("old"), ListPage(""), SECOND / 2),
        (NONE, Overloaded("slow down", retry_after=40 * SECOND), Watch("10"), 48 * SECOND),
        (NONE, Overloaded("for a year", retry_after=timedelta(days=365)), Watch("10"), 360 * SECOND),
        (NONE, Forbidden("no"), Watch("10"), SECOND / 2),
        (NONE, Unauthorized("who are you"), Watch("10"), SECOND / 2),
        (NONE, Invalid("no"), Watch("10"), CAP),
        (NONE, Absent("no such kind"), Watch("10"), SECOND / 2),
    ],
    ids=[
        "it lived its life: on at once",
        "it fell silent after its usual life: on at once",
        "it ended at once: on after a wait",
        "it was cut: on after a wait",
        "410 after a while: a new list after a wait",
        "410 at once: a new list after a wait",
        "429: as long as the server asks for",
        "429 with a foolish wait: five minutes",
        "a right is missing, or not known yet: after a wait",
        "a token is not taken, or not yet: after a wait",
        "it is refused: seldom",
        "the kind is gone: after a wait",
    ],
)
def test_how_a_watch_ended_says_what_comes_next(
    lived: timedelta, fault: Fault | None, asks: ListPage | Watch, wait: timedelta
) -> None:
    state, _ = step(WATCHING, Ended(lived, fault), RANDOM)
    assert next_request(state) == asks
    assert state.wait == wait


def test_waits_grow_until_a_watch_lives_long_enough() -> None:
    state, waits = WATCHING, []
    for _ in range(8):
        state, _ = step(state, Ended(NONE, Unreachable("down")), RANDOM)
        waits.append(state.wait / SECOND)
    assert waits == [0.5, 1, 2, 4, 8, 16, 30, 30]
    state, _ = step(state, Ended(LONG_ENOUGH, Unreachable("cut")), RANDOM)
    assert state.wait / SECOND == 0.5


def test_a_version_that_goes_back_is_expired() -> None:
    with pytest.raises(Expired):
        step(WATCHING, line("ADDED", "a", 9), RANDOM)


def test_pages_without_end_are_malformed() -> None:
    def read(pages: int) -> None:
        state = State()
        for _ in range(pages):
            state, _ = step(state, Page([], "", "more"), RANDOM)

    read(MAX_PAGES)
    with pytest.raises(Malformed):
        read(MAX_PAGES + 1)


NAMES = st.sampled_from("abcd")
FAULTS = st.sampled_from(
    [
        Unreachable("down"),
        Unreachable("quiet", reason=SILENT),
        Overloaded("slow", retry_after=3 * SECOND),
        Expired("old"),
        Forbidden("no"),
        Malformed("bytes"),
    ]
)
LIES = st.sampled_from([{"type": "ERROR", "object": {"code": 410}}, {"type": "?"}, {}])


class WatchMachine(RuleBasedStateMachine):
    """A tiny API server that cuts, expires and lies, and the machine with a store at the other end."""

    def __init__(self) -> None:
        super().__init__()
        self.revision, self.oldest = 10, 0
        self.objects: dict[str, Wire] = {}
        self.log: list[tuple[int, str, Wire]] = []
        self.state, self.store = State(), Store()
        self.stream: int | None = None  # the version up to which an open watch was told
        self.listing: list[Wire] = []
        self.unsent: list[Wire] = []  # answers to writes that are still on their way
        self.now, self.waited = NONE, NONE
        self.requests: list[tuple[timedelta, str]] = []
        self.mirror: dict[Key, Wire] = {}
        self.noted: dict[str, int] = {}  # the newest version that the store took from an answer
        self.store.subscribe(self.listen)

    def listen(self, key: Key, old: Wire | None, new: Wire | None) -> None:
        assert self.mirror.get(key) == old
        assert old != new
        if new is None:
            del self.mirror[key]
        else:
            self.mirror[key] = new

    @rule(name=NAMES)
    def write(self, name: str) -> None:
        self.revision += 1
        new = obj(name, self.revision, self.revision)
        self.log.append((self.revision, "MODIFIED" if name in self.objects else "ADDED", new))
        self.objects[name] = new
        self.unsent.append(new)

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        if name in self.objects:
            self.revision += 1
            del self.objects[name]
            self.log.append((self.revision, "DELETED", obj(name, self.revision)))

    @precondition(lambda self: self.unsent)
    @rule(data=st.data())
    def an_answer_to_a_write_arrives(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.unsent) - 1))
        answer = self.unsent.pop(index)
        if self.store.note(answer):
            meta = answer["metadata"]
            self.noted[meta["name"]] = int(meta["resourceVersion"])

    @rule()
    def compact(self) -> None:
        self.oldest = self.revision

    @initialize()
    def begin(self) -> None:
        self.ask()
        self.ask()

    @precondition(lambda self: self.stream is None)
    @rule()
    def ask(self) -> None:
        """Let the client send its next request."""
        self._ask(None)

    @rule(fault=FAULTS, lived=st.integers(0, 400))
    def fail(self, fault: Fault, lived: int) -> None:
        """Let the next request fail, or what is open be cut."""
        if self.stream is None:
            self._ask(fault)
        else:
            self.now += lived * SECOND
            self._end(lived * SECOND, fault)

    def _ask(self, fault: Fault | None) -> None:
        self.now += self.state.wait
        match next_request(self.state):
            case ListPage(token):
                self.requests.append((self.now, "list" if not token else "page"))
                self._list(token, fault)
            case Watch(version):
                self.requests.append((self.now, "watch"))
                if fault is None and int(version) < self.oldest:
                    fault = Expired("old")
                if fault is None:
                    self.stream = int(version)
                else:
                    self._hear(Ended(NONE, fault))

    def _list(self, token: str, fault: Fault | None) -> None:
        if fault is not None:
            self._hear(fault)
            return
        if not token:
            self.listing = [self.objects[n] for n in sorted(self.objects)]
            self.listed = self.revision
        page, self.listing = self.listing[:2], self.listing[2:]
        self._hear(Page(page, str(self.listed), "more" if self.listing else ""))

    @precondition(lambda self: self.stream is not None)
    @rule(count=st.integers(1, 5))
    def tell(self, count: int) -> None:
        """Let an open watch tell some of what happened."""
        for _ in range(count):
            if self.stream is None:
                return
            news = next(((v, kind, o) for v, kind, o in self.log if v > self.stream), None)
            if news is None:
                return
            self.stream = news[0]
            self._hear({"type": news[1], "object": news[2]})

    @precondition(lambda self: self.stream is not None)
    @rule()
    def bookmark(self) -> None:
        told = all(v <= (self.stream or 0) for v, _, _ in self.log)
        if told:
            self.stream = self.revision
            self._hear({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(self.revision)}}})

    @precondition(lambda self: self.stream is not None)
    @rule(lived=st.integers(0, 400), what=st.none() | LIES)
    def end(self, lived: int, what: Wire | None) -> None:
        """End an open watch, perhaps with a last line that makes no sense."""
        if what is not None:
            self._hear(what)
        else:
            self.now += lived * SECOND
            self._end(lived * SECOND, None)

    def _hear(self, heard: Page | Wire | Ended | Fault) -> None:
        try:
            self.state, change = step(self.state, heard, RANDOM)
        except Fault as fault:
            self._end(NONE, fault)
            return
        match change:
            case Changed(o):
                self.store.put(o)
            case Deleted(o):
                self.store.remove(o)
            case Progress(version):
                self.store.progress(version)
            case Listed(objects, version):
                self.store.replace(objects, version)

    def _end(self, lived: timedelta, fault: Fault | None) -> None:
        self.stream = None
        self._hear(Ended(lived, fault))

    @invariant()
    def listeners_know_what_the_store_knows(self) -> None:
        assert self.mirror == dict(self.store.mapping)

    @invariant()
    def what_we_wrote_is_not_forgotten_for_older_news(self) -> None:
        for name, version in self.noted.items():
            if not any(
                kind == "DELETED" and Key.of(o).name == name and v > version for v, kind, o in self.log
            ):
                found = self.store.get(Key("x", name))
                assert found is not None
                assert int(found["metadata"]["resourceVersion"]) >= version

    @invariant()
    def no_two_lists_or_watches_follow_without_a_delay(self) -> None:
        recent = self.requests[-8:]
        for (at, what), (then, again) in pairwise(recent):
            assert what != again or what == "page" or then > at, recent
        lists = [at for at, what in recent if what == "list"]
        assert all(b > a for a, b in pairwise(lists)), recent

    def teardown(self) -> None:
        """The server behaves from now on: soon the store has what it has."""
        for late in self.unsent:
            self.store.note(late)
        for _ in range(20):
            if self.stream is None:
                self.ask()
            else:
                self.tell(1000)
        assert self.store.synced
        assert {k.name: o for k, o in self.store.mapping.items()} == self.objects


WatchMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestWatchAndStore = WatchMachine.TestCase


# The driver.


class HostileCluster(MemoryCluster):
    """Ends every watch at once, in the way that a test chooses."""

    def __init__(self, end: Fault | None, lines: list[Wire] | None = None) -> None:
        super().__init__()
        self.end, self.lines = end, lines or []

    async def watch(self, selection: Selection, _version: str) -> AsyncIterator[Wire]:
        self._called("watch", selection.kind, None)
        for told in self.lines:
            yield told
        if self.end is not None:
            raise self.end


def reflector(cluster: MemoryCluster, clock: ManualClock) -> Reflector:
    return Reflector(
        cluster=cluster, selection=Selection(CONFIG_MAP), store=Store(), clock=clock, random=RANDOM
    )


async def stopped(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()


@pytest.mark.parametrize(
    "cluster",
    [
        HostileCluster(None),
        HostileCluster(Unreachable("cut")),
        HostileCluster(Expired("old")),
        HostileCluster(Overloaded("slow", retry_after=NONE)),
        HostileCluster(Forbidden("no")),
        HostileCluster(None, [{"type": "ADDED", "object": obj("a", 200)}]),
        HostileCluster(None, [{"type": "ADDED", "object": {}}]),
        HostileCluster(None, [{"type": "ADDED", "object": obj("a", 1)}]),
        HostileCluster(None, [{"type": "ERROR", "object": {"code": 410}}]),
        HostileCluster(None, [{"type": "ERROR", "object": {"code": 500}}]),
    ],
    ids=["ends", "cuts", "expires", "429", "403", "one line", "nonsense", "goes back", "ERROR 410", "ERROR"],
)
async def test_a_server_that_ends_every_watch_is_asked_seldom(cluster: HostileCluster) -> None:
    clock = ManualClock()
    cluster.calls.clear()
    running = asyncio.create_task(reflector(cluster, clock).run())
    await clock.advance(600 * SECOND)
    assert 20 <= len(cluster.calls) <= 60  # of lists and watches in ten minutes
    await stopped(running)


async def test_a_server_that_is_down_is_asked_seldom_and_its_return_is_noticed() -> None:
    clock, cluster, faults = ManualClock(), MemoryCluster(), [0]
    cluster.fail = lambda _verb, _kind: Unreachable("down")
    reflecting = reflector(cluster, clock)
    reflecting.on_fault = lambda _fault: faults.append(faults.pop() + 1)
    running = asyncio.create_task(reflecting.run())
    await clock.advance(600 * SECOND)
    assert len(cluster.calls) == faults[0] <= 30
    assert isinstance(reflecting.fault, Unreachable)
    assert reflecting.heard is None
    assert not reflecting.store.synced
    cluster.fail = lambda _verb, _kind: None
    await clock.advance(CAP)
    assert reflecting.store.synced
    assert reflecting.fault is None
    assert reflecting.heard is not None
    await stopped(running)


async def test_what_was_deleted_while_the_watch_was_expired_is_removed_by_the_new_list() -> None:
    clock, cluster = ManualClock(), MemoryCluster()
    for name in ("stays", "goes"):
        await cluster.create(CONFIG_MAP, {"metadata": {"name": name, "namespace": "x"}})
    reflecting = reflector(cluster, clock)
    running = asyncio.create_task(reflecting.run())
    await settle()
    assert len(reflecting.store) == 2

    cluster.fail = down
    cluster.end_watches()
    await clock.advance(SECOND)
    await cluster_delete(cluster, "goes")
    cluster.compact()
    await clock.advance(10 * SECOND)
    assert len(reflecting.store) == 2, "what is not heard of is not forgotten"
    cluster.fail = lambda _verb, _kind: None
    await clock.advance(120 * SECOND)
    assert [k.name for k in reflecting.store.mapping] == ["stays"]
    await stopped(running)


def down(verb: str, _kind: Kind) -> Fault | None:
    return Unreachable("down") if verb in {"list", "watch"} else None


async def cluster_delete(cluster: MemoryCluster, name: str) -> None:
    await cluster.delete(CONFIG_MAP, Key("x", name))


async def test_our_own_bug_is_not_swallowed() -> None:
    cluster = MemoryCluster()
    cluster.fail = lambda _verb, _kind: 1 / 0  # type: ignore[assignment,return-value]
    with pytest.raises(ZeroDivisionError):
        await reflector(cluster, ManualClock()).run()
