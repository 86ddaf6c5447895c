"""The request heads that are sent to a kubelet, read strictly, and what is sent on abroad instead; pure.

An API server sends four that go on (kubelet API, `pkg/kubelet/server/server.go`):

    GET  /containerLogs/NAMESPACE/POD/CONTAINER     answered as it is
    POST /exec/NAMESPACE/POD/CONTAINER              an upgrade to SPDY
    POST /attach/NAMESPACE/POD/CONTAINER            likewise
    POST /portForward/NAMESPACE/POD                 likewise

and metrics-server one that we answer ourselves:

    GET  /metrics/resource/NODE                     what the pods on a virtual node use

Nothing is copied but by an allow-list, so that what one parser overlooks the next one never sees.
"""

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qsl, quote, urlencode

from liqo.api.names import LABEL_MAX, USAGE_PATH
from liqo.errors import Malformed
from liqo.runtime.secret import Secret

HEAD_MAX = 64 * 1024  # bytes; the longest part is a command
FIELDS_MAX = 64  # header lines; an API server sends some ten
PARAMETERS_MAX = 2048  # of a query; each word of a command is one
SPDY = "SPDY/3.1"
NAME_MAX = 253  # a DNS subdomain (RFC 1123), as names of pods are

_END = b"\r\n\r\n"
_METHOD = re.compile(r"[A-Z]{3,7}")
_TARGET = re.compile(r"/[!-~]*")  # printable ASCII: everything else comes percent-encoded
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2
_VALUE = re.compile(r"[\t !-~\x80-\xff]*")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_PROTOCOL = re.compile(r"[a-z0-9.]{1,64}")
_BEARER = re.compile(r"[Bb]earer +([A-Za-z0-9._~+/-]+=*)")  # RFC 6750 §2.1
_ONCE = frozenset({"host", "content-length", "connection", "upgrade", "authorization"})


class Verb(StrEnum):
    """What is asked for."""

    LOGS = "logs"
    EXEC = "exec"
    ATTACH = "attach"
    PORT_FORWARD = "portforward"


@dataclass(frozen=True, slots=True)
class Head:
    """A request line and its fields, by their names in lower case."""

    method: str
    path: str
    query: str
    fields: Mapping[str, Sequence[str]]

    def one(self, name: str) -> str:
        """Return the value of a field that comes once, "" if it does not come."""
        found = self.fields.get(name, ())
        return found[0] if found else ""


@dataclass(frozen=True, slots=True)
class Ask:
    """A request that we take: for a container of a pod at home, "" for the whole pod."""

    verb: Verb
    namespace: str
    pod: str
    container: str
    query: Sequence[tuple[str, str]]  # of the request abroad, without the container
    protocols: Sequence[str]  # of the streams inside an upgrade

    @property
    def upgrades(self) -> bool:
        """Whether the connection becomes something else than HTTP."""
        return self.verb is not Verb.LOGS


_ROOTS = {
    "containerLogs": Verb.LOGS,
    "exec": Verb.EXEC,
    "attach": Verb.ATTACH,
    "portForward": Verb.PORT_FORWARD,
}
_SUBRESOURCE = {Verb.LOGS: "log"}
_STREAMS = {"input": "stdin", "output": "stdout", "error": "stderr", "tty": "tty"}
_LOG_OPTIONS = frozenset(
    {"follow", "tailLines", "sinceSeconds", "sinceTime", "limitBytes", "previous", "timestamps", "stream"}
)


def parse_head(raw: bytes) -> Head:
    """Read the head of a request, its empty last line included.

    Raises:
        Malformed: it is none, or could be read in two ways.
    """
    if len(raw) > HEAD_MAX or not raw.endswith(_END):
        raise Malformed("the head of a request has no end")
    first, *lines = raw[: -len(_END)].decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or words[2] != "HTTP/1.1" or not _METHOD.fullmatch(words[0]):  # noqa: PLR2004
        raise Malformed("not a request line of HTTP/1.1")
    if not _TARGET.fullmatch(words[1]) or "#" in words[1]:
        raise Malformed("not a path")
    path, _, query = words[1].partition("?")
    fields = _parse_fields(lines)
    if "transfer-encoding" in fields or fields.get("content-length", ["0"]) != ["0"]:
        raise Malformed("a request with a body")
    if not fields.get("host"):
        raise Malformed("a request without a Host")
    return Head(words[0], path, query, fields)


def _parse_fields(lines: Sequence[str]) -> dict[str, list[str]]:
    if len(lines) > FIELDS_MAX:
        raise Malformed("too many fields")
    fields: dict[str, list[str]] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise Malformed("not a field of a request")
        found = fields.setdefault(name.lower(), [])
        if found and name.lower() in _ONCE:
            raise Malformed(f"{name} comes twice")
        found.append(value.strip(" \t"))
    return fields


def parse_usage_path(head: Head) -> str | None:
    """Return of which node the usage is asked for, None if something else is asked for.

    Raises:
        Malformed: the path is that of usage, what is asked for on it is not.
    """
    if not head.path.startswith(f"{USAGE_PATH}/"):
        return None
    node = head.path.removeprefix(f"{USAGE_PATH}/")
    if head.method != "GET" or len(node) > NAME_MAX or not _SUBDOMAIN.fullmatch(node):
        raise Malformed("not a question for the usage of a node")
    return node


def parse_bearer(head: Head) -> Secret | None:
    """Return the bearer token of a request, None if it has none."""
    match = _BEARER.fullmatch(head.one("authorization"))
    return Secret(match[1]) if match else None


def parse_ask(head: Head) -> Ask | None:
    """Return what a request asks for, None if there is no such path here.

    Raises:
        Malformed: the path is ours, what is asked for on it is not.
    """
    root, *segments = head.path.removeprefix("/").split("/")
    verb = _ROOTS.get(root)
    wants = 2 if verb is Verb.PORT_FORWARD else 3
    if verb is None or len(segments) != wants:
        return None
    namespace, pod, container = (*segments, "")[:3]
    names = [namespace, *([container] if wants == 3 else [])]  # noqa: PLR2004
    if not all(len(n) <= LABEL_MAX and _LABEL.fullmatch(n) for n in names):
        raise Malformed("not a name of a namespace or a container")
    if len(pod) > NAME_MAX or not _SUBDOMAIN.fullmatch(pod):
        raise Malformed("not a name of a pod")
    if head.method != ("GET" if verb is Verb.LOGS else "POST"):
        raise Malformed(f"{root} does not answer {head.method}")
    protocols: Sequence[str] = ()
    if verb is not Verb.LOGS:
        protocols = _parse_upgrade(head)
    return Ask(verb, namespace, pod, container, _parse_query(verb, head.query), protocols)


def _parse_upgrade(head: Head) -> list[str]:
    """Return the protocols that the caller speaks inside SPDY."""
    if head.one("connection").lower() != "upgrade" or head.one("upgrade").lower() != SPDY.lower():
        raise Malformed(f"only an upgrade to {SPDY} is spoken here")
    found = [p.strip() for v in head.fields.get("x-stream-protocol-version", ()) for p in v.split(",")]
    if not all(_PROTOCOL.fullmatch(p) for p in found):
        raise Malformed("not a version of a stream protocol")
    return found


def _parse_query(verb: Verb, query: str) -> list[tuple[str, str]]:
    """Return the options of a request as the API server abroad calls them; those that we do not know are left out."""
    try:
        pairs = parse_qsl(
            query,
            keep_blank_values=True,
            strict_parsing=bool(query),
            errors="surrogateescape",
            max_num_fields=PARAMETERS_MAX,
        )
    except ValueError as exc:
        raise Malformed("not a query") from exc
    found = []
    for name, value in pairs:
        match verb:
            case Verb.LOGS if name in _LOG_OPTIONS:
                found.append((name, value))
            case Verb.EXEC | Verb.ATTACH if name in _STREAMS:
                found.append((_STREAMS[name], "true" if value in {"1", "true"} else "false"))
            case Verb.EXEC if name == "command":
                found.append((name, value))
            case Verb.PORT_FORWARD if name == "port":
                found.append(("ports", value))
            case _:
                pass
    return found


def forge_head(ask: Ask, *, namespace: str, host: str, prefix: str, token: Secret) -> bytes:
    """Return the head of the request abroad.

    Args:
        ask: what is asked for at home.
        namespace: the one abroad that stands for the pod's.
        host: of the API server there, with its port.
        prefix: the path of a proxy in front of it, "" without one.
        token: ours, there.
    """
    subresource = _SUBRESOURCE.get(ask.verb, str(ask.verb))
    query = list(ask.query)
    if ask.container:
        query.append(("container", ask.container))
    text = urlencode(query, quote_via=quote, errors="surrogateescape")
    path = f"{prefix}/api/v1/namespaces/{namespace}/pods/{ask.pod}/{subresource}"
    lines = [
        f"{'POST' if ask.upgrades else 'GET'} {path}{'?' if text else ''}{text} HTTP/1.1",
        f"Host: {host}",
        f"Authorization: Bearer {token.reveal()}",
        "User-Agent: liqo",
        "Accept-Encoding: identity",
    ]
    if ask.upgrades:
        lines += ["Connection: Upgrade", f"Upgrade: {SPDY}", "Content-Length: 0"]
        lines += [f"X-Stream-Protocol-Version: {p}" for p in ask.protocols]
    else:
        lines += ["Connection: close"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def parse_answer(raw: bytes) -> tuple[int, int | None]:
    """Return the code of an answer, and the length of its body where the head says it.

    Raises:
        Malformed: it is no head of an answer.
    """
    first, *lines = raw[: -len(_END)].decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or not re.fullmatch(r"[1-5]\d\d", words[1]):  # noqa: PLR2004
        raise Malformed("the other cluster does not answer as an API server does")
    lengths = [line.partition(":")[2].strip() for line in lines if line.lower().startswith("content-length:")]
    known = len(lengths) == 1 and re.fullmatch(r"\d{1,9}", lengths[0])
    return int(words[1]), int(lengths[0]) if known else None


def parse_refusal(body: bytes) -> str:
    """Return the words of an answer that is an error: those of the Status that an API server sends, else all of it."""
    text = body.decode(errors="replace").strip()
    with suppress(ValueError):
        status = json.loads(text)
        if isinstance(status, dict) and isinstance(status.get("message"), str):
            return str(status["message"])
    return text
