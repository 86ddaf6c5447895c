"""What a cluster says of itself in a TXT record: the seed's two keys, and a few more; pure.

    id=            its ClusterID
    namespace=     where Liqo's objects are
    untrusted-ca=  true: its CA is in its well-known document (untrusted mode)
    url=           of its API server, if that is not https://<host>:<port> of the SRV record
    door=          of its door (design: first contact)
    v=             of these rules; 1

RFC 6763 §6: one pair a string, keys in any case and order, of equal ones the first counts, unknown ones and
strings without a key are ignored.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from liqo.api.bounds import CLUSTER_ID, DNS_LABEL
from liqo.api.reasons import Reason
from liqo.errors import Malformed
from liqo.identity.trust import parse_server_url

VERSIONS = ("1", "2")  # ours, and one version up
STRING_MAX = 255  # bytes of one string (RFC 1035 §3.3)
STRINGS_MAX = 64  # a neighbour could send 64 KiB of them

_CLUSTER_ID = re.compile(CLUSTER_ID)
_LABEL = re.compile(DNS_LABEL)
_LABEL_MAX = 63


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """What a TXT record says, checked."""

    cluster_id: str
    namespace: str
    untrusted_ca: bool = False
    url: str = ""
    door_url: str = ""


def parse_announcement(strings: Iterable[bytes]) -> Announcement:
    """Read the strings of all TXT records of an instance.

    Raises:
        Malformed: with a reason and a sentence for whoever wrote the record; it repeats no foreign bytes
            beyond 64 printable characters.
    """
    pairs = _pairs(strings)
    if not pairs:
        raise Malformed("it has no TXT record with key=value pairs", reason=Reason.NO_TXT)
    version = pairs.get("v", VERSIONS[0])
    if version not in VERSIONS:
        raise Malformed(f"v={show(version)} is not a version that we know", reason=Reason.UNKNOWN_VERSION)
    cluster_id = pairs.get("id", "")
    if not cluster_id:
        raise Malformed("its TXT record has no id=", reason=Reason.NO_CLUSTER_ID)
    if not _CLUSTER_ID.fullmatch(cluster_id):
        raise Malformed(f"id={show(cluster_id)} is not a ClusterID", reason=Reason.BAD_CLUSTER_ID)
    namespace = pairs.get("namespace", "")
    if not namespace:
        raise Malformed("its TXT record has no namespace=", reason=Reason.NO_NAMESPACE)
    if len(namespace) > _LABEL_MAX or not _LABEL.fullmatch(namespace):
        raise Malformed(f"namespace={show(namespace)} is not a namespace", reason=Reason.BAD_NAMESPACE)
    return Announcement(
        cluster_id=cluster_id,
        namespace=namespace,
        untrusted_ca=pairs.get("untrusted-ca", "").lower() == "true",
        url=_url(pairs, "url"),
        door_url=_url(pairs, "door"),
    )


def forge_announcement(said: Announcement) -> Sequence[tuple[str, str]]:
    """Return the pairs of the TXT record, the seed's first."""
    pairs = [
        ("id", said.cluster_id),
        ("namespace", said.namespace),
        ("untrusted-ca", "true" if said.untrusted_ca else "false"),
        ("url", said.url),
        ("door", said.door_url),
        ("v", VERSIONS[0]),
    ]
    return [(key, value) for key, value in pairs if value]


def show(text: str) -> str:
    """Return foreign text so that it can stand in a message: printable ASCII, at most 64 characters."""
    clean = "".join(c if c.isascii() and c.isprintable() else "?" for c in text[:65])
    return clean if len(clean) <= 64 else f"{clean[:61]}..."  # noqa: PLR2004


def instance_label(text: str) -> str:
    """Return an instance's name as a cluster's name: a DNS label, "" if it is none."""
    return text if len(text) <= _LABEL_MAX and _LABEL.fullmatch(text) else ""


def _pairs(strings: Iterable[bytes]) -> dict[str, str]:
    found: dict[str, str] = {}
    for count, raw in enumerate(strings):
        if count >= STRINGS_MAX:
            break
        key, equals, value = raw[:STRING_MAX].partition(b"=")
        if key and equals:
            found.setdefault(key.decode("ascii", "replace").lower(), value.decode("utf-8", "replace"))
    return found


def _url(pairs: dict[str, str], key: str) -> str:
    value = pairs.get(key, "")
    if not value:
        return ""
    try:
        parse_server_url(value)
    except Malformed as fault:
        said = f"{key}={show(value)} is not an https URL without path: {fault.message}"
        raise Malformed(said, reason=Reason.BAD_URL) from fault
    return value.removesuffix("/")
