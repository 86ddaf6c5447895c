"""First contact: talks to clusters of which we have no credentials yet, and trusts nothing before it is proved."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import NamedTuple, TypeVar

from liqo.adapters.kube import HttpCluster
from liqo.adapters.tls import (
    PINNED_NAME,
    AddressCheck,
    CheckedResolver,
    check_literal,
    pinned_context,
    unverified_context,
)
from liqo.api.kinds import CONFIG_MAP, FEDERATION_REQUEST
from liqo.api.meta import Wire
from liqo.api.names import DOOR_PORT, WELL_KNOWN_CONFIG_MAP, WELL_KNOWN_KEY
from liqo.api.reasons import Reason
from liqo.errors import (
    Absent,
    Fault,
    Forbidden,
    NotTrusted,
    Overloaded,
    Unauthorized,
    Unavailable,
    Unreachable,
)
from liqo.identity.document import Document, parse_document
from liqo.identity.trust import door_beside
from liqo.peering.ports import Met
from liqo.runtime.metrics import Metrics
from liqo.runtime.ports import Clock, Random
from liqo.runtime.secret import Secret

DOCUMENT_MAX = 256 * 1024  # bytes; a ConfigMap with a document and its metadata
KNOCKING = timedelta(seconds=4)  # where nine of ten are turned away, one of forty is to the end
PAUSE_SECONDS = (0.05, 0.15)
FULL = timedelta(seconds=32)  # an API server's full line asks for a second, and for more and more up to this
T = TypeVar("T")


class _Place(NamedTuple):
    """Where a cluster may be met, and who should be there."""

    server: str
    door: str
    namespace: str
    expected: str | None


class _Read(NamedTuple):
    """A document, the time on the other side, and where it was read."""

    document: Document
    at: datetime
    entry: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpContact:
    """Implements `peering.ports.Contact`."""

    system: Callable[[], ssl.SSLContext]  # the system's roots and trusted-ca-certificates
    check: AddressCheck
    clock: Clock
    random: Random
    metrics: Metrics
    knocking: timedelta = KNOCKING  # how long it is sent again to a server whose line of strangers is full

    async def meet(
        self,
        servers: Sequence[str],
        namespace: str,
        *,
        expected: str | None,
        allow_untrusted: bool,
        door: str = "",
    ) -> Met:
        """Read the well-known document and verify everything about it."""
        faults: list[Fault] = []
        others: tuple[str, ...] = ()
        for server in servers:
            try:
                check_literal(server, self.check)
                place = _Place(server, door or door_beside(server, DOOR_PORT), namespace, expected)
                met = await self._meet(place, allow_untrusted=allow_untrusted)
            except Fault as fault:
                faults.append(fault)
                if fault.reason == Reason.WRONG_CLUSTER_ID:
                    others = (*others, server)
            else:
                return replace(met, others=others)
        raise _telling(faults)

    async def _meet(self, place: "_Place", *, allow_untrusted: bool) -> Met:
        """Try what is trusted; and at the same time, if allowed, what the document proves by itself."""
        proving: asyncio.Task[_Read] | None = None
        if allow_untrusted:
            proving = asyncio.ensure_future(self._read(place, unverified_context()))
        try:
            read = await self._read(place, self.system())
        except NotTrusted as fault:
            if fault.reason != Reason.CA_NOT_TRUSTED:
                raise
            if proving is None:
                raise NotTrusted(
                    f"{place.server} is not trusted: {fault.message}",
                    reason=Reason.CA_NOT_TRUSTED,
                    hint="add its CA to the ConfigMap trusted-ca-certificates, or set spec.allowUntrustedCA",
                ) from fault
            read = await proving
        else:
            return Met(document=read.document, server=place.server, entry=read.entry, ca_pem="", at=read.at)
        finally:
            if proving is not None:
                await _put_away(proving)
        document = read.document
        if not document.ca_bundle:
            raise NotTrusted(
                f"{place.server} does not publish its CA, and no known CA signed its certificate",
                reason=Reason.CA_NOT_TRUSTED,
                hint="add its CA to the ConfigMap trusted-ca-certificates",
            )
        await self._confirm(place.server, document.ca_bundle)
        return Met(
            document=document, server=place.server, entry=read.entry, ca_pem=document.ca_bundle, at=read.at
        )

    async def _read(self, place: "_Place", context: ssl.SSLContext) -> "_Read":
        """Read the document from the API server, or from the door if the API server takes no strangers.

        The door's certificate need not be trusted: the document is signed. That of the API server was verified, as
        `context` wants it, before it said no.
        """
        try:
            return await self._document(place, place.server, context)
        except Unauthorized:
            pass
        try:
            check_literal(place.door, self.check)
            return await self._document(place, place.door, unverified_context())
        except (Unavailable, Unauthorized, NotTrusted) as fault:
            raise Unavailable(
                f"{place.server} takes no anonymous requests, and no door answers at {place.door}: {fault.message}",
                reason=Reason.ANONYMOUS_REFUSED,
                hint="is Liqo running there, and is that port open? Or set spec.doorUrl",
            ) from fault

    def _open(
        self, server: str, context: ssl.SSLContext, name: str | None, token: Secret | None = None
    ) -> HttpCluster:
        return HttpCluster(
            server,
            ssl_context=context,
            server_hostname=name,
            token=token.reveal if token is not None else None,
            resolver=CheckedResolver(self.check),
            clock=self.clock,
            random=self.random,
            metrics=self.metrics,
            role="stranger",
            max_response=DOCUMENT_MAX,
        )

    async def _document(self, place: "_Place", entry: str, context: ssl.SSLContext) -> "_Read":
        """Read the document over one connection, and the time on the other side.

        Raises:
            Unauthorized: no stranger is let in there.
        """
        server, namespace = entry, place.namespace
        cluster = self._open(server, context, None)
        try:
            path = CONFIG_MAP.path(namespace, WELL_KNOWN_CONFIG_MAP)
            wire, headers = await self._knock(lambda: cluster.fetch_with_headers(path))
        except (Forbidden, Absent) as fault:
            raise Unavailable(
                f"{server} shows no well-known document in namespace {namespace}",
                reason=Reason.DOCUMENT_MISSING,
                hint=f"is Liqo installed there, and in namespace {namespace}?",
            ) from fault
        finally:
            await cluster.close()
        now = self.clock.now()
        text = (wire.get("data") or {}).get(WELL_KNOWN_KEY, "")
        document = parse_document(text, now, expected=place.expected)
        return _Read(document, _date(headers.get("Date", ""), now), entry)

    async def _confirm(self, server: str, ca_pem: str) -> None:
        """Verify that whoever shows a document holds a certificate of the CA in it: anybody can copy the document.

        Raises:
            NotTrusted: he does not, with reason CANotShown.
            Unreachable: nobody answers.
        """
        cluster = self._open(server, pinned_context(ca_pem), PINNED_NAME)
        try:
            await cluster.fetch_raw("/version")
        except NotTrusted as fault:
            raise NotTrusted(
                f"the document at {server} is genuine, but the certificate is not of the CA in it: {fault.message}",
                reason=Reason.CA_NOT_SHOWN,
                hint="does a proxy stand before that API server, or somebody on the line? Nothing was sent there",
            ) from fault
        except Fault as fault:
            if isinstance(fault, Unreachable) and not fault.answered:
                raise  # any answer will do
        finally:
            await cluster.close()

    async def _knock(self, send: Callable[[], Awaitable[T]]) -> T:
        return await knock(send, self.clock, self.random, within=self.knocking)

    async def ask(
        self, met: Met, namespace: str, request: Wire, *, token: Secret | None = None
    ) -> Sequence[str]:
        """POST a FederationRequest, as a stranger or with the token of an invite; return the warnings.

        A token goes to the API server alone, whose certificate was verified; never to a door.

        Raises:
            NotTrusted: whoever is there showed a good document, and has no certificate of the CA in it.
        """
        entry = met.entry if token is None else met.server
        if entry != met.server:
            context, name = unverified_context(), None  # the request is signed and sealed
        elif met.ca_pem:
            context, name = pinned_context(met.ca_pem), PINNED_NAME
        else:
            context, name = self.system(), None
        cluster = self._open(entry, context, name, token)
        try:
            path = FEDERATION_REQUEST.path(namespace)
            _, headers = await self._knock(lambda: cluster.post_with_headers(path, request))
        except NotTrusted as fault:
            if not met.ca_pem or fault.reason != Reason.CA_NOT_TRUSTED:
                raise
            raise NotTrusted(
                f"{met.server} shows the document of cluster {met.document.cluster_id}, but the CA in it did not sign "
                f"the certificate there: {fault.message}",
                reason=Reason.CA_NOT_TRUSTED,
                hint="something that answers in its place stands between: use the API server's own address",
            ) from fault
        finally:
            await cluster.close()
        return [_warning_text(value) for value in headers.getall("Warning", [])]


async def knock(
    send: Callable[[], Awaitable[T]], clock: Clock, random: Random, *, within: timedelta = KNOCKING
) -> T:
    """Send until there is a place in the line of strangers; return the answer.

    In a flood, who waits for as long as that line asks for is always behind those who do not. A server that asks for
    more than its line does is left alone.

    Raises:
        Overloaded: there was no place for a few seconds.
    """
    end = clock.now() + within
    while True:
        try:
            return await send()
        except Overloaded as fault:
            if clock.now() >= end or (fault.retry_after or FULL) > FULL:
                raise
        await clock.sleep(timedelta(seconds=random.uniform(*PAUSE_SECONDS)))


def _telling(faults: Sequence[Fault]) -> Fault:
    """Return what tells a person most: what somebody answered, not that others are silent.

    It is worth trying again soon as long as one address may just be away.
    """
    silent = [f for f in faults if isinstance(f, Unavailable)]
    told = next((f for f in faults if not isinstance(f, Unreachable)), None)
    if told is None:
        said = faults[0].message if faults else "no address of that cluster is known"
        hint = "is that the address of its API server, is it up, and does no firewall stand between?"
        silence = Unreachable(said, hint=hint)
        silence.answered = any(isinstance(f, Unreachable) and f.answered for f in faults)
        return silence
    if silent and not isinstance(told, Unavailable):
        return Unavailable(told.message, reason=told.reason, hint=told.hint)
    return told


def _date(text: str, now: datetime) -> datetime:
    """Return the time in a Date header; ours if there is none that can be read."""
    try:
        return parsedate_to_datetime(text).astimezone(now.tzinfo)
    except ValueError:
        return now


def _warning_text(value: str) -> str:
    """Return the text of a Warning header (RFC 7234 §5.5): 299 - "text"."""
    parts = value.split('"')
    return parts[1][:256] if len(parts) > 2 else value[:256]  # noqa: PLR2004


async def _put_away(task: "asyncio.Task[_Read]") -> None:
    """End a task whose answer is no longer wanted, whatever it was."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()
