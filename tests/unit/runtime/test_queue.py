"""The queue: one entry a key, never two workers on one, back-off, groups."""

import asyncio
from datetime import datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from liqo.api.meta import Key
from liqo.runtime.queue import CAP, EAGER_GAP, EAGER_TRIES, QUICK, Backlog, Queue
from manual_clock import START, FixedRandom, ManualClock, settle

A, B, C = (Key("", n) for n in ("a", "b", "c"))
SECOND = timedelta(seconds=1)
RANDOM = FixedRandom()


def taken(backlog: Backlog, now: datetime) -> list[Key]:
    found = []
    while (key := backlog.take(now)) is not None:
        found.append(key)
    return found


def test_a_key_is_handed_out_once_however_often_it_was_added() -> None:
    backlog = Backlog()
    for _ in range(3):
        backlog.add(A, START)
    assert taken(backlog, START) == [A]


def test_first_added_is_first_out() -> None:
    backlog = Backlog()
    for key in (B, A, C):
        backlog.add(key, START)
    assert taken(backlog, START) == [B, A, C]


def test_a_key_is_not_handed_out_before_its_time_and_adding_it_again_only_brings_it_forward() -> None:
    backlog = Backlog()
    backlog.add(A, START, 10 * SECOND)
    backlog.add(A, START, 20 * SECOND)
    assert backlog.due() == START + 10 * SECOND
    assert backlog.take(START + 9 * SECOND) is None
    backlog.add(A, START, SECOND)
    assert backlog.take(START + SECOND) == A
    assert backlog.due() is None


def test_what_failed_is_handed_out_at_once_when_all_are_to_be_tried_again() -> None:
    backlog = Backlog()
    for key in (A, B):
        backlog.add(key, START)
    assert taken(backlog, START) == [A, B]
    for _ in range(EAGER_TRIES):
        backlog.fail(A, START, RANDOM)
    for key in (A, B):
        backlog.done(key)
    backlog.add(C, START, 10 * SECOND)
    assert taken(backlog, START) == []
    backlog.retry(START)
    assert taken(backlog, START) == [A]
    assert backlog.failures(A) == 0, "the next wait is a short one again"


def test_a_key_that_is_worked_on_waits_until_it_is_done() -> None:
    backlog = Backlog()
    backlog.add(A, START)
    assert backlog.take(START) == A
    backlog.add(A, START)
    assert backlog.take(START) is None
    assert backlog.due() is None
    backlog.done(A)
    assert backlog.take(START) == A


def test_one_that_changes_its_group_while_it_waits_in_line_leaves_nobody_behind() -> None:
    groups = {A: "one", B: "one", C: "one"}
    backlog = Backlog(group=lambda key: groups[key], per_group=1)
    for key in (A, B, C):
        backlog.add(key, START)
    assert taken(backlog, START) == [A]
    groups[B] = "other"
    backlog.done(A)
    assert taken(backlog, START) == [B]
    backlog.done(B)
    assert taken(backlog, START) == [C]


def test_a_full_group_holds_up_nobody_else() -> None:
    backlog = Backlog(group=lambda key: key.namespace, per_group=2)
    slow = [Key("slow", str(i)) for i in range(4)]
    for key in (*slow, A):
        backlog.add(key, START)
    assert taken(backlog, START) == [slow[0], slow[1], A]
    backlog.done(slow[0])
    assert taken(backlog, START) == [slow[2]]
    backlog.done(slow[1])
    backlog.done(slow[2])
    assert taken(backlog, START) == [slow[3]]


def test_back_off_doubles_up_to_its_cap_and_success_forgets_it() -> None:
    backlog = Backlog()
    waits = [backlog.fail(A, START, RANDOM) / SECOND for _ in range(10)]
    assert waits[:4] == [0.5, 1, 2, 4]
    assert waits[-1] == CAP / SECOND
    backlog.forget(A)
    assert backlog.fail(A, START, RANDOM) / SECOND == 0.5


def test_a_conflict_is_looked_at_again_at_once_but_not_for_ever() -> None:
    backlog = Backlog()
    waits = [backlog.fail(A, START, RANDOM, quick=True) for _ in range(5)]
    assert waits[0] == QUICK
    assert waits[4] > SECOND


def test_what_a_server_asks_for_is_waited_for() -> None:
    assert Backlog().fail(A, START, RANDOM, at_least=30 * SECOND) == 30 * SECOND


def test_news_wakes_a_key_that_waits_after_a_failure() -> None:
    backlog = Backlog()
    backlog.fail(A, START, RANDOM, at_least=60 * SECOND)
    backlog.add(A, START + SECOND)
    assert backlog.take(START + SECOND) == A


def test_a_key_that_fails_and_changes_each_time_does_not_spin() -> None:
    backlog, now, runs = Backlog(), START, 0
    backlog.add(A, now)
    while now < START + 60 * SECOND:
        if backlog.take(now) == A:
            runs += 1
            backlog.add(A, now)  # our own failure changed the object
            backlog.fail(A, now, RANDOM)
            backlog.done(A)
        now = max(now, backlog.due() or now)
    assert runs <= EAGER_TRIES + 60 * SECOND / EAGER_GAP


async def test_a_waiting_loop_is_woken_by_news_and_by_time() -> None:
    clock = ManualClock()
    queue = Queue(clock, RANDOM)
    queue.add(A, 5 * SECOND)
    getting = asyncio.create_task(queue.get())
    await clock.advance(4 * SECOND)
    assert not getting.done()
    await clock.advance(SECOND)
    assert await getting == A
    getting = asyncio.create_task(queue.get())
    await settle()
    queue.add(B)
    assert await getting == B
    await queue.close()


async def test_a_nearer_key_is_not_held_up_by_a_timer_that_was_set_for_a_later_one() -> None:
    clock = ManualClock()
    queue = Queue(clock, RANDOM)
    queue.add(A, 60 * SECOND)
    getting = asyncio.create_task(queue.get())
    await settle()
    queue.add(B, 2 * SECOND)
    await clock.advance(2 * SECOND)
    assert await getting == B
    await queue.close()


async def test_a_clock_that_is_set_back_makes_nobody_wait_for_it() -> None:
    clock = ManualClock()
    queue = Queue(clock, RANDOM)
    queue.add(A, 10 * SECOND)
    clock.at -= timedelta(hours=1)
    getting = asyncio.create_task(queue.get())
    await clock.advance(10 * SECOND)
    assert await getting == A
    await queue.close()


KEYS = st.sampled_from([Key(group, name) for group in "xy" for name in "abc"])
SPANS = st.integers(0, 20).map(lambda n: n * SECOND)


class BacklogMachine(RuleBasedStateMachine):
    """A model that remembers for each key when it is due at the latest; nothing may be lost or come early."""

    def __init__(self) -> None:
        super().__init__()
        self.groups: dict[Key, str] = {}  # of those that moved
        self.backlog = Backlog(group=self.group, per_group=2)
        self.now = START
        self.due: dict[Key, datetime] = {}
        self.working: dict[Key, str] = {}  # with the group in which it was taken

    def group(self, key: Key) -> str:
        return self.groups.get(key, key.namespace)

    @rule(key=KEYS, group=st.sampled_from("xy"))
    def move(self, key: Key, group: str) -> None:
        self.groups[key] = group

    @rule(key=KEYS, after=SPANS)
    def add(self, key: Key, after: timedelta) -> None:
        self.backlog.add(key, self.now, after)
        self.due[key] = min(self.due.get(key, self.now + after), self.now + after)

    @rule(span=SPANS)
    def pass_time(self, span: timedelta) -> None:
        self.now += span

    @rule()
    def take(self) -> None:
        key = self.backlog.take(self.now)
        if key is None:
            return
        assert key not in self.working
        assert self.due.pop(key) <= self.now
        self.working[key] = self.group(key)
        assert list(self.working.values()).count(self.group(key)) <= 2

    @precondition(lambda self: self.working)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.working)))
        del self.working[key]
        self.backlog.forget(key)
        self.backlog.done(key)

    @precondition(lambda self: self.working)
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.working)))
        wait = self.backlog.fail(key, self.now, RANDOM)
        del self.working[key]
        self.backlog.done(key)
        held = self.backlog._held.get(key, self.now)
        self.due[key] = max(held, min(self.due.get(key, self.now + wait), self.now + wait))

    @invariant()
    def nothing_is_lost(self) -> None:
        assert set(self.backlog._due) == set(self.due)

    def teardown(self) -> None:
        """Let all come to rest: every key that waits is handed out."""
        self.now += timedelta(days=1)
        left = set(self.due)
        for key in sorted(self.working):
            self.backlog.done(key)
        while (found := self.backlog.take(self.now)) is not None:
            left.discard(found)
            self.groups = {}
            self.backlog.done(found)
        assert not left
        assert self.backlog.due() is None
        assert not self.backlog._parked
        assert not self.backlog._busy


BacklogMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestBacklog = BacklogMachine.TestCase
