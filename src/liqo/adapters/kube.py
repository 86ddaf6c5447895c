"""A Cluster over HTTP: the verbs of the port as requests, and answers read as objects, pages and lines."""

import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import orjson
from aiohttp.abc import AbstractResolver

from liqo.adapters.status import clean, make_fault
from liqo.adapters.transport import MAX_RESPONSE, TIMEOUT, Answer, Headers, Request, Transport
from liqo.api.meta import Key, Kind, Wire
from liqo.errors import Absent, Fault, Malformed
from liqo.runtime.metrics import Metrics
from liqo.runtime.ports import Clock, Page, Random, Selection

APPLY_TYPE = "application/apply-patch+yaml"  # JSON is YAML
MERGE_TYPE = "application/merge-patch+json"
WATCH_SECONDS = (290.0, 580.0)  # a watch's life is drawn from these, so that not all end together

_SAFE_NAME = re.compile(r"[A-Za-z0-9:_-][A-Za-z0-9.:_-]*")


class HttpCluster:
    """Implements `runtime.ports.Cluster`: one API server, reached as one identity.

    Args:
        server: its URL; without a path, or with that of a proxy in front of it.
        ssl_context: whom we believe, and our client certificate if we have one; None for http://.
        clock: how long requests take.
        random: for the life of watches.
        token: returns the current bearer token; None: we come as a stranger.
        refresh: called after a 401; returns whether `token` has a newer one now.
        server_hostname: the name to verify in its certificate instead of the URL's host.
        resolver: of the host's name.
        metrics: where requests are counted.
        role: the metrics' label `cluster`: home, foreign, stranger.
        max_response: bytes of one answer.
        timeout: of a request.
        manager: the field manager of objects that are created, not applied.
    """

    def __init__(
        self,
        server: str,
        *,
        ssl_context: ssl.SSLContext | None,
        clock: Clock,
        random: Random,
        token: Callable[[], str] | None = None,
        refresh: Callable[[], Awaitable[bool]] | None = None,
        server_hostname: str | None = None,
        resolver: AbstractResolver | None = None,
        metrics: Metrics | None = None,
        role: str = "home",
        max_response: int = MAX_RESPONSE,
        timeout: timedelta = TIMEOUT,
        manager: str = "liqo",
    ) -> None:
        self.server = server.rstrip("/")
        self._random = random
        self._manager = urlencode({"fieldManager": manager})
        self._transport = Transport(
            server=self.server,
            ssl_context=ssl_context,
            clock=clock,
            token=token,
            refresh=refresh,
            server_hostname=server_hostname,
            resolver=resolver,
            metrics=metrics,
            role=role,
            max_response=max_response,
            timeout=timeout,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()

    async def give_up(self) -> None:
        """End all requests that are under way, but no watch: what of them has not arrived by now never does."""
        await self._transport.give_up()

    async def trust(self, ssl_context: ssl.SSLContext | None) -> None:
        """Believe others from now on; what is under way ends, and is tried again by whoever waits for it."""
        self._transport.ssl_context = ssl_context
        await self._transport.close()

    # The verbs of the port.

    async def get(self, kind: Kind, key: Key) -> Wire:
        """Return one object."""
        answer = await self._transport.send(Request("get", kind.resource, "GET", _path(kind, key)))
        return parse_object(answer.body)

    async def list(self, selection: Selection, *, limit: int = 500, continue_token: str = "") -> Page:
        """Return one page of the selected objects."""
        query = {"limit": str(limit), **_selectors(selection)}
        if continue_token:
            query["continue"] = continue_token
        kind, path = selection.kind, _collection(selection.kind, selection.namespace)
        answer = await self._transport.send(Request("list", kind.resource, "GET", path, urlencode(query)))
        return parse_page(answer.body, kind)

    async def watch(self, selection: Selection, resource_version: str) -> AsyncIterator[Wire]:
        """Yield watch events from that version on, until the server ends the stream."""
        kind = selection.kind
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(int(self._random.uniform(*WATCH_SECONDS))),
            **_selectors(selection),
        }
        path = _collection(kind, selection.namespace)
        request = Request("watch", kind.resource, "GET", path, urlencode(query))
        async with aclosing(self._transport.lines(request)) as lines:
            async for line in lines:
                event = parse_object(line)
                if event.get("type") == "ERROR":
                    raise _line_fault(event.get("object"), kind)
                yield event

    async def create(self, kind: Kind, obj: Wire) -> Wire:
        """POST; raises Conflict if the name is taken."""
        path = _collection(kind, obj["metadata"]["namespace"] if kind.namespaced else "")
        request = Request("create", kind.resource, "POST", path, self._manager, obj)
        return parse_object((await self._transport.send(request)).body)

    async def apply(self, kind: Kind, obj: Wire, *, manager: str, subresource: str = "") -> Wire:
        """Server-side apply, forced; with metadata.uid it never creates."""
        query = urlencode({"fieldManager": manager, "force": "true"})
        path = _path(kind, Key.of(obj), subresource)
        body = {"apiVersion": kind.api_version, "kind": kind.kind, **obj}
        request = Request("apply", kind.resource, "PATCH", path, query, body, APPLY_TYPE)
        return parse_object((await self._transport.send(request)).body)

    async def patch(
        self, kind: Kind, key: Key, patch: Wire, *, manager: str = "", subresource: str = ""
    ) -> Wire:
        """Merge patch (RFC 7386)."""
        query = urlencode({"fieldManager": manager}) if manager else self._manager
        path = _path(kind, key, subresource)
        request = Request("patch", kind.resource, "PATCH", path, query, patch, MERGE_TYPE)
        return parse_object((await self._transport.send(request)).body)

    async def delete(
        self, kind: Kind, key: Key, *, uid: str = "", version: str = "", grace: int | None = None
    ) -> None:
        """Delete; absent is done."""
        options: Wire = {"apiVersion": "v1", "kind": "DeleteOptions"}
        wanted = {"uid": uid, "resourceVersion": version}
        if uid or version:
            options["preconditions"] = {k: v for k, v in wanted.items() if v}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        try:
            await self._transport.send(
                Request("delete", kind.resource, "DELETE", _path(kind, key), "", options)
            )
        except Absent:
            return

    async def post(self, path: str, body: Wire) -> Wire:
        """POST to a path that is no object: TokenRequest, SubjectAccessReview."""
        return (await self.post_with_headers(path, body))[0]

    # Beyond the port, for adapters.

    async def fetch(self, path: str, *, within: timedelta | None = None) -> Wire:
        """Return the JSON at a path, if it comes within that time."""
        answer = await self._transport.send(Request("get", "raw", "GET", path, within=within))
        return parse_object(answer.body)

    async def fetch_with_headers(self, path: str) -> tuple[Wire, Headers]:
        """Return the JSON at a path, and the answer's headers."""
        answer = await self.fetch_raw(path)
        return parse_object(answer.body), answer.headers

    async def fetch_raw(self, path: str) -> Answer:
        """Return what is at a path, JSON or not: /readyz."""
        return await self._transport.send(Request("get", "raw", "GET", path))

    async def post_with_headers(self, path: str, body: Wire) -> tuple[Wire, Headers]:
        """POST to a path; return the answer and its headers, of which Date and Warning are of use."""
        answer = await self._transport.send(Request("create", "raw", "POST", path, "", body))
        return parse_object(answer.body), answer.headers


def parse_object(body: bytes) -> Wire:
    """Read a JSON object.

    Raises:
        Malformed: it is none.
    """
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise Malformed("an answer is not JSON") from exc
    if not isinstance(found, dict):
        raise Malformed("an answer is no object")
    return found


def parse_page(body: bytes, kind: Kind) -> Page:
    """Read a page of a list; the items get the apiVersion and kind that the API server leaves out.

    Raises:
        Malformed: it is none.
    """
    found = parse_object(body)
    metadata, items = found.get("metadata"), found.get("items") or []
    if not isinstance(metadata, dict) or not isinstance(items, list):
        raise Malformed("an answer is no list")
    for item in items:
        if not isinstance(item, dict):
            raise Malformed("an item of a list is no object")
        item.setdefault("apiVersion", kind.api_version)
        item.setdefault("kind", kind.kind)
    version, token = metadata.get("resourceVersion"), metadata.get("continue")
    return Page(items, version if isinstance(version, str) else "", token if isinstance(token, str) else "")


def _line_fault(status: Any, kind: Kind) -> Fault:
    """Return what an ERROR line of a watch means."""
    known = status if isinstance(status, dict) else {}
    code = known.get("code")
    message = clean(f"watch {kind.resource}: {known.get('message')}")
    return make_fault(code if isinstance(code, int) else 500, message, known)


def _selectors(selection: Selection) -> dict[str, str]:
    found = {}
    by_name = f"metadata.name={selection.name}" if selection.name else ""
    if fields := ",".join(filter(None, (by_name, selection.fields))):
        found["fieldSelector"] = fields
    if selection.labels:
        found["labelSelector"] = selection.labels
    return found


def _safe(name: str) -> str:
    """Return a name that is one segment of a path.

    Raises:
        Malformed: it is none; a name may come from outside.
    """
    if not _SAFE_NAME.fullmatch(name):
        raise Malformed("not a name of an object")
    return name


def _collection(kind: Kind, namespace: str) -> str:
    return kind.path(_safe(namespace) if namespace else "")


def _path(kind: Kind, key: Key, subresource: str = "") -> str:
    if kind.namespaced and not key.namespace:
        raise ValueError(f"{kind.kind} {key.name} has no namespace")
    path = kind.path(_safe(key.namespace) if kind.namespaced else "", _safe(key.name))
    return f"{path}/{subresource}" if subresource else path
