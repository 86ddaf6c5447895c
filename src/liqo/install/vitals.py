"""Whether Liqo is well in a cluster: its controller, kinds, document, entry, address and clock; pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from urllib.parse import urlsplit

from liqo.api.crd import forge_crds
from liqo.api.meta import Wire, format_time, parse_time
from liqo.api.names import CLUSTER_ID_CONFIG_MAP, DOOR_PORT, WELL_KNOWN_CONFIG_MAP, WELL_KNOWN_KEY
from liqo.errors import Fault
from liqo.identity.document import LEEWAY, parse_document
from liqo.runtime.lease import DURATION

START = "liqo controller --help, or kubectl -n NAMESPACE get pods where it runs in the cluster"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """What was read of a cluster for this.

    Args:
        now: the API server's time, as its answers say; whole seconds.
        here: this machine's at the same moment.
        lease: the controller's, None without.
        crds: our kinds as the API server has them, by name.
        ids: ConfigMap cluster-id, None without.
        document: ConfigMap liqo-well-known, None without.
        anonymous: whether the API server takes requests without credentials.
        server: the URL that others are told, "" where none is known.
        names: for which the API server's certificate is good; None where it shows none.
        pinned: whether others know our API server by the CA that we publish, whatever its address is.
    """

    now: datetime
    here: datetime
    lease: Wire | None
    crds: dict[str, Wire]
    ids: Wire | None
    document: Wire | None
    anonymous: bool
    server: str
    names: Sequence[str] | None
    pinned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One sign of health."""

    name: str
    ok: bool
    message: str
    hint: str = ""


def examine(vitals: Vitals) -> list[Check]:
    """Return all signs, good and bad."""
    return [look(vitals) for look in _LOOKS]


def _controller(v: Vitals) -> Check:
    spec = (v.lease or {}).get("spec") or {}
    holder, text = spec.get("holderIdentity") or "", spec.get("renewTime")
    if not holder or not text:
        return Check(name="controller", ok=False, message="no controller runs", hint=START)
    past = v.now - parse_time(text)
    said = f"{holder} leads, its lease was renewed at {text}"
    if past > DURATION:
        return Check(name="controller", ok=False, message=f"{said}, which is long ago", hint=START)
    if past < -LEEWAY:
        return Check(
            name="controller",
            ok=False,
            message=f"{said}, and the API server's clock shows {format_time(v.now)}",
            hint="set the clock of the machine that the controller runs on",
        )
    return Check(name="controller", ok=True, message=said)


def _kinds(v: Vitals) -> Check:
    names = (crd["metadata"]["name"] for crd in forge_crds())
    bad = [name for name in names if not _is_established(v.crds.get(name, {}))]
    if bad:
        return Check(
            name="kinds", ok=False, message=f"not served: {', '.join(bad)}", hint="liqo install brings them"
        )
    return Check(name="kinds", ok=True, message="all are served")


def _is_established(crd: Wire) -> bool:
    conditions = crd.get("status", {}).get("conditions") or ()
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)


def _document(v: Vitals) -> Check:
    text = ((v.document or {}).get("data") or {}).get(WELL_KNOWN_KEY, "")
    cluster_id = ((v.ids or {}).get("data") or {}).get(CLUSTER_ID_CONFIG_MAP, "")
    if not text or not cluster_id:
        missing = WELL_KNOWN_CONFIG_MAP if cluster_id else CLUSTER_ID_CONFIG_MAP
        return Check(
            name="document",
            ok=False,
            message=f"there is no ConfigMap {missing}: nobody can get to know this cluster",
            hint="the controller writes it when it starts",
        )
    try:
        document = parse_document(text, v.now, expected=cluster_id)
    except Fault as fault:
        hint = (
            f"the controller writes it anew: is it running? kubectl delete configmap {WELL_KNOWN_CONFIG_MAP}"
        )
        return Check(name="document", ok=False, message=fault.message, hint=hint)
    until = format_time(document.exp)
    return Check(name="document", ok=True, message=f"of cluster {cluster_id}, good until {until}")


def _entry(v: Vitals) -> Check:
    if v.anonymous:
        return Check(name="entry", ok=True, message="the API server takes anonymous requests")
    text = ((v.document or {}).get("data") or {}).get(WELL_KNOWN_KEY, "")
    try:
        door = parse_document(text, v.now).door_url
    except Fault:
        door = ""
    if door:
        message = f"the API server takes no anonymous requests; others ask at the door, {door}"
        return Check(name="entry", ok=True, message=message)
    return Check(
        name="entry",
        ok=False,
        message="the API server takes no anonymous requests, and no door is open: nobody can ask",
        hint=f"liqo controller --door opens one, port {DOOR_PORT}; docs/how-to/door.md",
    )


def _address(v: Vitals) -> Check:
    hint = "set spec.discoveryConfig.apiUrl of the ClusterConfig to where others reach this API server"
    if not v.server:
        return Check(name="address", ok=False, message="where others reach us is not known", hint=hint)
    if v.names is None:
        return Check(name="address", ok=True, message=f"{v.server}, without TLS from here: not checked")
    host = urlsplit(v.server).hostname or ""
    if any(is_same_host(name, host) for name in v.names):
        return Check(name="address", ok=True, message=f"{v.server}, which its certificate covers")
    if v.pinned:
        return Check(
            name="address", ok=True, message=f"{v.server}, known to others by the CA that we publish"
        )
    covered = ", ".join(v.names) or "no name"
    return Check(
        name="address", ok=False, message=f"{v.server}, and the certificate covers only {covered}", hint=hint
    )


def is_same_host(name: str, host: str) -> bool:
    """Return whether a certificate for that name is good for that host (RFC 9525)."""
    try:
        return ip_address(name) == ip_address(host)
    except ValueError:
        first, _, rest = name.lower().partition(".")
        return name.lower() == host.lower() or (first == "*" and host.lower().partition(".")[2] == rest)


def _clock(v: Vitals) -> Check:
    seconds = (v.here - v.now).total_seconds()
    said = f"{abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} the API server's"
    if abs(v.here - v.now) > LEEWAY:
        hint = "set the clocks: signatures and tokens are bound to time"
        return Check(name="clock", ok=False, message=f"this machine's is {said}", hint=hint)
    return Check(name="clock", ok=True, message="as the API server's" if abs(seconds) < 1 else said)


_LOOKS: Sequence[Callable[[Vitals], Check]] = (_controller, _kinds, _document, _entry, _address, _clock)
