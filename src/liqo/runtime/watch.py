"""List and watch, as a machine that knows no I/O, and the small driver that runs it.

    Empty ── page, more to come ──► Paging ── last page ──► Watching
      │                               │                        │
      └────── last page ──────────────┼───────────────────────►│
                                      │                        ├─ line ──► Watching, further
      ▲                               │                        ├─ end or fault ──► Watching, after a wait
      └───────── any fault ───────────┘◄── 410, nonsense ──────┘

`next_request` says what a state asks of the API server, `step` what an answer makes of it. The rules:

- Two requests never follow one another without a wait, unless the first was answered and the second is
  what that answer calls for (the next page; the watch after the list; a new watch after one that lived
  at least LONG_ENOUGH). So no server can make us spin.
- A watch is resumed from the last version heard, of an object or a bookmark. Only 410, a version that goes
  back and lines that make no sense cost a new list.
- A page beyond our bound is asked for again, in parts.
- Nothing is forgotten while there is no answer: the store keeps what was last known, and the next complete
  list tells what was deleted meanwhile.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any

from liqo.api.meta import Wire
from liqo.errors import Expired, Fault, Forbidden, Malformed, Refused, Unauthorized, Unavailable, Unreachable
from liqo.runtime.backoff import backoff
from liqo.runtime.ports import Clock, Cluster, Page, Random, Selection
from liqo.runtime.store import Store, parse_version

BASE = timedelta(milliseconds=500)
CAP = timedelta(seconds=30)
RETRY_AFTER_CAP = timedelta(minutes=5)  # whatever a server asks for
LONG_ENOUGH = timedelta(seconds=5)  # a watch that lived this long was a good one
MAX_OBJECTS = 200_000  # of one selection; about 1 GB, more is a server gone mad
MAX_PAGES = 2_000  # of one list; empty ones count too
PAGE = 500  # objects asked for at once
FEWER = 8  # a page that is too large is asked for in so many parts
TOO_LARGE = "TooLarge"  # reason of the Malformed that an answer beyond our bound is
TOO_MANY = "TooMany"  # reason of the Malformed that objects beyond our bound are
SILENT = "Silent"  # reason of the Unreachable that a watch ends with which told nothing for too long


class Phase(Enum):
    """What the machine knows."""

    EMPTY = auto()  # nothing: the next request is a list's first page
    PAGING = auto()  # some pages of a list
    WATCHING = auto()  # all up to `version`


@dataclass(frozen=True, slots=True)
class State:
    """Where a list and watch stands."""

    phase: Phase = Phase.EMPTY
    version: str = ""  # watching: resume from here
    token: str = ""  # paging: of the next page
    objects: tuple[Wire, ...] = ()  # paging: those of the pages so far
    pages: int = 0  # paging: how many so far
    failures: int = 0  # in a row
    wait: timedelta = timedelta(0)  # before the next request
    limit: int = PAGE  # of a page


@dataclass(frozen=True, slots=True)
class ListPage:
    """Ask for a page of a list; "" is the first."""

    token: str
    limit: int = PAGE


@dataclass(frozen=True, slots=True)
class Watch:
    """Ask for all that happened since."""

    version: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A watch came to its end, by the server's will or by a fault, after that long."""

    lived: timedelta
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A complete list; everything else is gone."""

    objects: tuple[Wire, ...]
    version: str


@dataclass(frozen=True, slots=True)
class Changed:
    """An object was added or changed."""

    obj: Wire


@dataclass(frozen=True, slots=True)
class Deleted:
    """An object is gone."""

    obj: Wire


@dataclass(frozen=True, slots=True)
class Progress:
    """Nothing else happened up to this version."""

    version: str


Change = Listed | Changed | Deleted | Progress


def next_request(state: State) -> ListPage | Watch:
    """Return what to ask for, after state.wait."""
    return Watch(state.version) if state.phase is Phase.WATCHING else ListPage(state.token, state.limit)


def step(
    state: State, heard: Page | Wire | Ended | Fault, random: Random, cap: timedelta = CAP
) -> tuple[State, Change | None]:
    """Return the state after an answer, and what to do to the store.

    A Page answers ListPage, lines of a watch and Ended answer Watch, and a Fault answers ListPage; `cap` bounds
    the wait after failures.

    Raises:
        Malformed: the answer makes no sense; hear that fault next.
    """
    match heard:
        case Page():
            return _page(state, heard)
        case Ended(lived, fault):
            failures = 0 if lived >= LONG_ENOUGH else state.failures
            if fault is None or fault.reason == SILENT:
                if lived >= LONG_ENOUGH:
                    return replace(state, failures=0, wait=timedelta(0)), None
                return _failed(state, failures + 1, None, random, cap), None
            return _failed(state, failures + 1, fault, random, cap), None
        case Fault():
            return _failed(state, state.failures + 1, heard, random, cap), None
        case _:
            return _line(state, heard)


def _page(state: State, page: Page) -> tuple[State, Change | None]:
    """Take a page of a list."""
    for obj in page.items:
        check_object(obj)
    objects, pages = (*state.objects, *page.items), state.pages + 1
    if len(objects) > MAX_OBJECTS or pages > MAX_PAGES:
        raise Malformed(f"a list has more than {MAX_OBJECTS} objects or {MAX_PAGES} pages")
    if page.continue_token:
        further = replace(state, phase=Phase.PAGING, token=page.continue_token, wait=timedelta(0))
        return replace(further, objects=objects, pages=pages), None
    if not page.resource_version:
        raise Malformed("a list has no resourceVersion")
    version, failures = page.resource_version, state.failures
    watching = State(Phase.WATCHING, version=version, failures=failures, limit=state.limit)
    return watching, Listed(objects, page.resource_version)


def _line(state: State, line: Wire) -> tuple[State, Change | None]:
    """Take one line of a watch."""
    kind, obj = line.get("type"), line.get("object")
    if kind == "ERROR":
        code = obj.get("code") if isinstance(obj, dict) else None
        if code == 410:  # noqa: PLR2004  Gone
            raise Expired("the watch's version is too old")
        raise Unreachable(f"the watch ended with status {code}")
    if kind == "BOOKMARK":
        version = _version(obj)
        return _advance(state, version), Progress(version)
    if kind not in {"ADDED", "MODIFIED", "DELETED"}:
        raise Malformed("a watch line is of no known type")
    found = check_object(obj)
    change = Deleted(found) if kind == "DELETED" else Changed(found)
    return _advance(state, found["metadata"]["resourceVersion"]), change


def _advance(state: State, version: str) -> State:
    """Return the state further on.

    Raises:
        Expired: the version goes back; the server was restored from a backup, or is another one.
    """
    before, now = parse_version(state.version), parse_version(version)
    if before is not None and now is not None and now < before:
        raise Expired("the watch's version went back")
    return replace(state, version=version)


def _failed(state: State, failures: int, fault: Fault | None, random: Random, cap: timedelta) -> State:
    """Return the state after something went wrong: with a wait, and a new list where that is needed."""
    wait = backoff(failures, random, base=BASE, cap=CAP if isinstance(fault, Refused) else cap)
    match fault:
        case Unavailable(retry_after=timedelta() as asked):
            wait = max(wait, min(asked, RETRY_AFTER_CAP) * random.uniform(1.0, 1.2))
        case Forbidden() | Unauthorized():
            pass  # a server that has just started says so before it knows our rights
        case Refused():
            wait = max(wait, CAP * random.uniform(0.5, 1.0))
        case _:
            pass
    if state.phase is Phase.WATCHING and not isinstance(fault, Expired | Malformed):
        return replace(state, failures=failures, wait=wait)
    too_large = fault is not None and fault.reason == TOO_LARGE
    if too_large and state.limit > 1 and state.phase is not Phase.WATCHING:
        return replace(state, failures=failures, wait=wait, limit=max(state.limit // FEWER, 1))
    return State(failures=failures, wait=wait, limit=state.limit)


def check_object(obj: Any) -> Wire:
    """Return an object if it has what a store needs.

    Raises:
        Malformed: it has no name or version.
    """
    metadata = obj.get("metadata") if isinstance(obj, dict) else None
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        raise Malformed("an object has no name")
    if not isinstance(metadata.get("namespace", ""), str):
        raise Malformed("an object's namespace is no text")
    _version(obj)
    found: Wire = obj
    return found


def _version(obj: Any) -> str:
    metadata = obj.get("metadata") if isinstance(obj, dict) else None
    version = metadata.get("resourceVersion") if isinstance(metadata, dict) else None
    if not isinstance(version, str) or not version:
        raise Malformed("an object has no resourceVersion")
    return version


def _ignore(*_: object) -> None:
    """Do nothing."""


def _plenty() -> int:
    return MAX_OBJECTS


@dataclass(slots=True, kw_only=True)
class Reflector:
    """Keeps a store equal to what an API server has.

    Guarantees: `run` returns only when cancelled, asks at most once a wait whatever the server does, and
    raises only for our own bugs. Assumes that nobody else writes the store. It can be cancelled anywhere: the
    store stays as it was last told.

    Attributes:
        heard: when the server last answered; None if it never did.
        fault: what went wrong last; None since the last good answer.
    """

    cluster: Cluster
    selection: Selection
    store: Store
    clock: Clock
    random: Random
    cap: timedelta = CAP  # of the wait after failures; short where the server is near and is ours
    on_fault: Callable[[Fault], None] = _ignore
    on_heard: Callable[[], None] = _ignore
    on_restart: Callable[[str], None] = _ignore  # why a watch or a list begins anew: for metrics
    room: Callable[[], int] = _plenty  # how many objects there may be now, if others share one bound
    state: State = field(default_factory=State, init=False)
    heard: datetime | None = field(default=None, init=False)
    fault: Fault | None = field(default=None, init=False)

    async def run(self) -> None:
        """List and watch until cancelled."""
        self.store.selection = self.selection
        while True:
            if self.state.wait:
                await self.clock.sleep(self.state.wait)
            match next_request(self.state):
                case ListPage(token, limit):
                    await self._list(token, limit)
                case Watch(version):
                    await self._watch(version)

    async def _list(self, token: str, limit: int) -> None:
        try:
            page = await self.cluster.list(self.selection, limit=limit, continue_token=token)
            self._hear(page)
        except Fault as fault:
            self._fail(fault)
            self.state, _ = step(self.state, fault, self.random, self.cap)

    async def _watch(self, version: str) -> None:
        began = self.clock.now()
        fault: Fault | None = None
        lines = self.cluster.watch(self.selection, version)
        try:
            async for line in lines:
                self._hear(line)
        except Fault as exc:
            fault = exc
        finally:
            if inspect.isasyncgen(lines):
                await lines.aclose()
        if fault is None or fault.reason == SILENT:
            self.on_restart("Ended" if fault is None else SILENT)
        else:
            self._fail(fault)
        self.state, _ = step(self.state, Ended(self.clock.now() - began, fault), self.random, self.cap)

    def _hear(self, heard: Page | Wire) -> None:
        """Take a good answer into state and store."""
        self.state, change = step(self.state, heard, self.random, self.cap)
        match change:
            case Changed(obj):
                self.store.put(obj)
                self._check_room(len(self.store))
            case Deleted(obj):
                self.store.remove(obj)
            case Progress(version):
                self.store.progress(version)
            case Listed(objects, version):
                self._check_room(len(objects))
                self.store.replace(objects, version)
            case None:
                self._check_room(len(self.state.objects))
        self.heard, self.fault = self.clock.now(), None
        self.on_heard()

    def _check_room(self, count: int) -> None:
        if count > (room := self.room()):
            raise Malformed(f"there are more than {max(room, 0)} objects", reason=TOO_MANY)

    def _fail(self, fault: Fault) -> None:
        self.fault = fault
        self.on_restart(fault.reason)
        self.on_fault(fault)


async def reflect(
    cluster: Cluster,
    selection: Selection,
    store: Store,
    clock: Clock,
    random: Random,
    *,
    cap: timedelta = CAP,
    on_fault: Callable[[Fault], None] = _ignore,
    on_heard: Callable[[], None] = _ignore,
    on_restart: Callable[[str], None] = _ignore,
    room: Callable[[], int] = _plenty,
) -> None:
    """Keep `store` equal to the selected objects until cancelled; see Reflector."""
    reflector = Reflector(
        cluster=cluster,
        selection=selection,
        store=store,
        clock=clock,
        random=random,
        cap=cap,
        on_fault=on_fault,
        on_heard=on_heard,
        on_restart=on_restart,
        room=room,
    )
    await reflector.run()
