"""Writes records into a zone: RFC 2136 updates signed with TSIG (RFC 8945)."""

import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import dns.asyncquery
import dns.exception
import dns.name
import dns.rcode
import dns.tsig
import dns.tsigkeyring
import dns.update

from liqo.adapters.dns_address import Address, parse_servers
from liqo.discovery.records import TTL, Entry
from liqo.errors import Fault, Invalid, Refused, Unreachable

TIMEOUT = timedelta(seconds=5)
ALGORITHMS = ("hmac-sha256", "hmac-sha224", "hmac-sha384", "hmac-sha512", "hmac-sha1")
_KEY = re.compile(r'key\s+"?(?P<name>[^"\s{]+)"?\s*\{(?P<body>[^}]*)\}', re.DOTALL)
_FIELD = re.compile(r'(algorithm|secret)\s+"?([^";\s]+)"?\s*;')


def read_key(path: Path) -> tuple[str, str, str]:
    """Return name, algorithm and secret of a key file as BIND's tsig-keygen writes it.

    Raises:
        Invalid: it is none; the message holds nothing of it.
    """
    try:
        match = _KEY.search(path.read_text())
    except (OSError, UnicodeDecodeError):
        match = None
    fields = dict(_FIELD.findall(match["body"])) if match else {}
    if match is None or "secret" not in fields:
        raise Invalid(
            f"{path} is no TSIG key file", hint="tsig-keygen liqo-key > liqo.key, and allow it in the zone"
        )
    algorithm = fields.get("algorithm", ALGORITHMS[0]).lower()
    if algorithm not in ALGORITHMS:
        raise Invalid(f"{path} names an algorithm that we do not know", hint=", ".join(ALGORITHMS))
    return match["name"], algorithm, fields["secret"]


async def publish(
    zone: str, server: str, key: tuple[str, str, str], entries: Sequence[Entry], *, remove: bool
) -> None:
    """Write the records of one cluster, or take them out; what others publish in the zone stays.

    Raises:
        Invalid: the key cannot be used, or the server is not one that is asked over plain DNS.
        Refused: the server does not let us, or the key is not the zone's.
        Unreachable: it does not answer.
    """
    address = _primary(server)
    name, algorithm, secret = key
    try:
        keyring = dns.tsigkeyring.from_text({name: secret})
        update = dns.update.UpdateMessage(
            f"{zone}.",
            keyring=keyring,
            keyname=dns.name.from_text(name),
            keyalgorithm=dns.name.from_text(algorithm),
        )
    except (dns.exception.DNSException, ValueError):
        raise Invalid("the TSIG key cannot be used", hint="its secret has to be base64") from None
    for entry in entries:
        owner = f"{entry.owner}."
        if entry.kind == "PTR":
            update.delete(owner, "PTR", entry.data)
        else:
            update.delete(owner, entry.kind)
    if not remove:
        for entry in entries:
            update.add(f"{entry.owner}.", TTL, entry.kind, entry.data)
    try:
        answer = await dns.asyncquery.tcp(
            update, address.host, port=address.port, timeout=TIMEOUT.total_seconds()
        )
    except (dns.tsig.PeerError, dns.tsig.BadSignature, dns.tsig.BadTime, dns.tsig.BadKey) as exc:
        raise Refused(f"{address.host} does not take the key: {type(exc).__name__}") from exc
    except (dns.exception.DNSException, OSError, EOFError) as exc:
        raise Unreachable(f"{address.host}:{address.port} does not answer the update") from exc
    if answer.rcode() != dns.rcode.NOERROR:
        raise _refused(answer.rcode(), zone)


def _primary(server: str) -> Address:
    hint = "--server 192.0.2.53:53, the zone's primary name server"
    first, *others = parse_servers(server)
    if others:
        raise Invalid("an update goes to one name server, which passes it on to the others", hint=hint)
    if first.scheme != "dns":
        raise Invalid(
            f"updates go over plain DNS, signed with the key (RFC 2136, TSIG), not over {first.scheme}://",
            hint=hint,
        )
    return first


def _refused(code: dns.rcode.Rcode, zone: str) -> Fault:
    hint = {
        dns.rcode.NOTAUTH: f"is the key allowed, and is the server the primary of {zone}?",
        dns.rcode.REFUSED: f"allow the key to update {zone} (BIND: allow-update or update-policy)",
        dns.rcode.NOTZONE: f"is {zone} the zone itself, not a name in it?",
    }.get(code, "")
    return Refused(f"the name server refused the update: {dns.rcode.to_text(code)}", hint=hint)
