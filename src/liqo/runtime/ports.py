"""What the rooms may ask of the world outside; `liqo.adapters` answers it."""

from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from liqo.api.meta import Key, Kind, Wire
from liqo.runtime.secret import Secret


class Clock(Protocol):
    """Time as an argument, so that a test can turn it."""

    def now(self) -> datetime:
        """Return the instant, aware, in UTC."""
        ...

    async def sleep(self, span: timedelta) -> None:
        """Wait; a negative span is none."""
        ...


class Random(Protocol):
    """Chance, for jitter only."""

    def uniform(self, low: float, high: float) -> float:
        """Return a number in [low, high]."""
        ...


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects of a kind a list or a watch is about."""

    kind: Kind
    namespace: str = ""  # "": all
    name: str = ""  # by fieldSelector: all that a right with resourceNames allows
    labels: str = ""  # a label selector as kubectl takes it
    fields: str = ""  # a field selector, beside that by name


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list."""

    items: list[Wire]
    resource_version: str
    continue_token: str = ""


class Cluster(Protocol):
    """One API server, reached as one identity.

    Every call raises a Fault: Absent, Conflict, Expired, Forbidden, Unauthorized, Invalid, Overloaded,
    Unreachable.
    """

    async def get(self, kind: Kind, key: Key) -> Wire:
        """Return one object."""
        ...

    async def list(self, selection: Selection, *, limit: int = 500, continue_token: str = "") -> Page:
        """Return one page of the selected objects."""
        ...

    def watch(self, selection: Selection, resource_version: str) -> AsyncIterator[Wire]:
        """Yield watch events ({"type", "object"}) from that version on, until the server ends the stream.

        Bookmarks are asked for. Raises Unreachable when the stream is silent for longer than bookmarks allow.
        """
        ...

    async def create(self, kind: Kind, obj: Wire) -> Wire:
        """POST; raises Conflict if the name is taken."""
        ...

    async def apply(self, kind: Kind, obj: Wire, *, manager: str, subresource: str = "") -> Wire:
        """Server-side apply, forced; with metadata.uid it never creates (it raises Conflict instead)."""
        ...

    async def patch(
        self, kind: Kind, key: Key, patch: Wire, *, manager: str = "", subresource: str = ""
    ) -> Wire:
        """Merge patch (RFC 7386); with metadata.resourceVersion inside it is an optimistic lock."""
        ...

    async def delete(
        self, kind: Kind, key: Key, *, uid: str = "", version: str = "", grace: int | None = None
    ) -> None:
        """Delete; absent is done.

        With `uid` only that very object, with `version` only as it was seen: else raises Conflict.
        """
        ...

    async def post(self, path: str, body: Wire) -> Wire:
        """POST to a path that is no object: TokenRequest, SubjectAccessReview."""
        ...


class Way(StrEnum):
    """In which role we reach another cluster."""

    OUTGOING = "outgoing"  # we are home, it is foreign
    INCOMING = "incoming"  # we are foreign, it is home


class Health(StrEnum):
    """What the last answers of another cluster mean (design: "What an answer means")."""

    READY = "Ready"  # it answered an authorised request
    AWAY = "Away"  # no answer, 5xx, TLS failure, three times in a row
    EXPIRED = "Expired"  # 401 after the token's own end
    REFUSED = "Refused"  # 401 or 403 before it


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A connection to another cluster, in one role."""

    cluster: Cluster
    namespace: str  # where that side wants us to work
    server: str
    health: Health
    since: datetime  # when it became what `health` says
    heard: datetime | None  # the last authorised answer
    failures: int  # in a row
    message: str = ""  # what the last failure was
    reason: str = ""  # of that
    expires: datetime | None = None  # our token there; None: it does not say


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """A connection of its own to the API server of another cluster, on which nothing was said yet."""

    reader: StreamReader
    writer: StreamWriter
    host: str  # and port, as a request names it
    prefix: str  # the path of a proxy in front of it, "" without one
    token: Secret  # ours, there


class Clusters(Protocol):
    """Connections to other clusters; the one thing that does not travel in objects."""

    def use(self, cluster_id: str, way: Way, sealed: str) -> str:
        """Make the credentials in `sealed` the current ones of that cluster and role; return their digest.

        Idempotent. Raises Malformed or NotTrusted when what is inside may not be used.
        """
        ...

    def get(self, cluster_id: str, way: Way) -> Session | None:
        """Return the connection, None where none was made."""
        ...

    def drop(self, cluster_id: str, way: Way) -> None:
        """Close the connection and everything watched over it."""
        ...

    def watched(self, cluster_id: str, way: Way, selection: Selection) -> Mapping[Key, Wire] | None:
        """Return what a watch over that connection has seen; None until its first list is complete.

        The first call begins the watch; it ends with the connection, or by `unwatch`. What is returned is a live
        view; it may be pruned.
        """
        ...

    def note(self, cluster_id: str, way: Way, selection: Selection, obj: Wire) -> None:
        """Take the answer to a write of ours into what a watch has seen, which may be late; see Store.note."""
        ...

    def unwatch(self, cluster_id: str, way: Way, selection: Selection) -> None:
        """End a watch; without one nothing happens."""
        ...

    async def probe(self, cluster_id: str, way: Way, path: str) -> Session | None:
        """Ask for `path` once and return the connection with what the answer means."""
        ...


class Views(Protocol):
    """Watches of our own cluster that come and go."""

    def view(self, selection: Selection) -> Mapping[Key, Wire] | None:
        """Return what a watch has seen, begun by the first call; None until its first list is complete."""
        ...

    def end(self, selection: Selection) -> None:
        """End a watch; without one nothing happens."""
        ...


class Events(Protocol):
    """Tells people what happened, as Kubernetes Events."""

    def emit(self, about: Wire, kind: Kind, *, reason: str, message: str, warning: bool = False) -> None:
        """Write an event about an object; equal ones are counted, not repeated. Never fails."""
        ...


JSON = Any
