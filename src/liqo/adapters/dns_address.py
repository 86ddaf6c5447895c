"""What the setting `dnsServer` names; pure."""

from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from liqo.api.reasons import Reason
from liqo.discovery.announcement import show
from liqo.errors import Invalid

SERVERS_MAX = 8
PORT, TLS_PORT = 53, 853


@dataclass(frozen=True, slots=True)
class Address:
    """One server of `dnsServer`.

    Args:
        scheme: dns, tls or https.
        host: an address; of https also a name.
        port: of it.
        name: in its certificate; "" for the host.
        url: of https.
    """

    scheme: str
    host: str
    port: int
    name: str = ""
    url: str = ""

    @property
    def private(self) -> bool:
        """Whether nobody stands between us and the server, so that its word on DNSSEC (AD) counts."""
        if self.scheme != "dns":
            return True
        with suppress(ValueError):
            return ip_address(self.host).is_loopback
        return False


def parse_servers(text: str) -> list[Address]:
    """Read `dnsServer`: host[:port], tls://host[:port][#name] or https://…, several apart by commas or blanks.

    Raises:
        Invalid: one is none of these, there is none, or there are more than SERVERS_MAX.
    """
    found = [_parse(part) for part in text.replace(",", " ").split()]
    if not 1 <= len(found) <= SERVERS_MAX:
        raise _invalid(text)
    return found


def _parse(text: str) -> Address:
    scheme = text.split("://", 1)[0] if "://" in text else "dns"
    try:
        parts = urlsplit(text if "://" in text else f"dns://{text}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _invalid(text) from None
    if not host or parts.username is not None or parts.query:
        raise _invalid(text)
    match scheme:
        case "dns" if not parts.path and not parts.fragment:
            return Address("dns", _literal(host, text), port or PORT)
        case "tls" if not parts.path:
            return Address("tls", _literal(host, text), port or TLS_PORT, name=parts.fragment)
        case "https":
            return Address("https", host, port or 443, url=text)
        case _:
            raise _invalid(text)


def _literal(host: str, text: str) -> str:
    """Return a host that is an address: a name would have to be looked up where nobody knows."""
    try:
        return str(ip_address(host))
    except ValueError:
        raise _invalid(text) from None


def _invalid(text: str) -> Invalid:
    return Invalid(
        f"{show(text) or 'nothing'} is no name server",
        reason=Reason.BAD_SERVER,
        hint="8.8.8.8:53, several apart by commas, tls://9.9.9.9#dns.quad9.net, or https://HOST/dns-query",
    )
