"""Verdicts on addresses, URLs and certificates of other clusters."""

import base64
import hashlib
import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from liqo.api.bounds import CERTIFICATES_MAX
from liqo.api.reasons import Reason
from liqo.errors import Malformed

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

URL_MAX = 2_048
HOST_MAX = 253  # RFC 1035 §2.3.4, written with dots
PORT_MAX = 65_535
HTTPS_PORT = 443
BUNDLE_MAX = 32_768  # bytes; a CA and its predecessors, with room
CERTIFICATE_MAX = 16_384  # bytes of one certificate, DER
PROBLEM_MAX = 256  # characters of a message about somebody's certificate

# Not link-local, but where clouds hand credentials to whoever runs there.
METADATA = frozenset(map(ip_address, ("fd00:ec2::254", "100.100.100.200", "168.63.129.16")))
NAT64 = ip_network("64:ff9b::/96")  # RFC 6052 §2.1: an IPv4 address in the last 32 bits
COMPATIBLE = ip_network("::/96")  # RFC 4291 §2.5.5.1, deprecated: same
THIS_NETWORK = ip_network("0.0.0.0/8")  # RFC 1122 §3.2.1.3

_SERVER = re.compile(r"https://(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+))(?::([0-9]{1,5}))?/?")
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
# RFC 7468 §3, lines at most 76 long, so that every parser reads the same.
_CERTIFICATE = re.compile(
    r"-----BEGIN CERTIFICATE-----[ \t]*\r?\n((?:[A-Za-z0-9+/=]{1,76}[ \t]*\r?\n)+)-----END CERTIFICATE-----"
)
_BLOCK = re.compile(r"-----BEGIN [^-\n]*-----.*?(?:-----END [^-\n]*-----|(?=-----BEGIN )|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether something is trusted, and why not."""

    trusted: bool
    reason: str = ""
    message: str = ""


TRUSTED = Verdict(trusted=True)


def check_address(
    ip: str, *, allowed: Sequence[Network] = (), own: Sequence[str] = (), allow_loopback: bool = False
) -> Verdict:
    """Return whether we connect to an address that a name of another cluster resolved to.

    Args:
        ip: the address as it will be connected to.
        allowed: networks that the configuration allows, whatever is in them.
        own: addresses of our own API server; names among them are skipped.
        allow_loopback: 127.0.0.0/8 and ::1 are other clusters here, as in the lab.
    """
    try:
        address = ip_address(ip)
    except ValueError:
        return _refuse("that is no IP address")
    forms = (address, *_embedded(address))
    if any(form in network for form in forms for network in allowed):
        return TRUSTED
    if not _addresses(own).isdisjoint(forms):
        return _refuse(f"{address} is our own API server")
    for form in forms:
        why = _refusal(form, allow_loopback=allow_loopback)
        if why:
            return _refuse(f"{address} is {why}")
    return TRUSTED


def _refuse(message: str) -> Verdict:
    return Verdict(trusted=False, reason=Reason.ADDRESS_REFUSED, message=message)


def _addresses(texts: Sequence[str]) -> set[Address]:
    """Return the addresses in every form; a name is not one."""
    found: set[Address] = set()
    for text in texts:
        try:
            address = ip_address(text.strip("[]"))
        except ValueError:
            continue
        found |= {address, *_embedded(address)}
    return found


def _embedded(address: Address) -> Sequence[Address]:
    """Return the IPv4 addresses that an IPv6 one stands for."""
    if isinstance(address, IPv4Address):
        return ()
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    low = int(address) & 0xFFFF_FFFF
    if address in NAT64 or (address in COMPATIBLE and low > 1):
        found.append(IPv4Address(low))
    return [a for a in found if a is not None]


def _refusal(address: Address, *, allow_loopback: bool) -> str:
    """Return what is wrong with an address; "" if nothing."""
    if address.is_loopback:
        return "" if allow_loopback else "a loopback address"
    if address.is_unspecified or address in THIS_NETWORK:
        return "no address of a host"
    if address in METADATA:
        return "where a cloud hands out credentials"
    if address.is_link_local:
        return "a link-local address"
    if address.is_multicast or (isinstance(address, IPv4Address) and address.is_reserved):
        return "no address of a single host"
    return ""


@dataclass(frozen=True, slots=True)
class Server:
    """Where an API server is."""

    host: str  # a name in lower case, or an address without brackets
    port: int


def parse_server_url(url: str) -> Server:
    """Read the URL of an API server: https, a host, perhaps a port, and nothing else.

    A host whose last label is a number has to be an IPv4 address in four decimal parts, since resolvers also
    take 127.1, 0x7f.1 and 2130706433 for one.

    Raises:
        Malformed: anything else, such as userinfo, a path, a query or a fragment.
    """
    if len(url) > URL_MAX:
        raise Malformed(f"the URL is longer than {URL_MAX} characters")
    match = _SERVER.fullmatch(url)
    if match is None:
        raise Malformed("the URL is not https://host:port")
    literal, name, port_text = match.groups()
    port = int(port_text) if port_text else HTTPS_PORT
    if not 1 <= port <= PORT_MAX:
        raise Malformed("the port in the URL is not one of 1 to 65535")
    try:
        if literal is not None:
            return Server(str(IPv6Address(literal)), port)
        if _NUMBER.fullmatch(name.rsplit(".", 1)[-1]):
            return Server(str(IPv4Address(name)), port)
    except ValueError:
        raise Malformed("the host in the URL is neither an address nor a name") from None
    if len(name) > HOST_MAX or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise Malformed("the host in the URL is neither an address nor a name")
    return Server(name.lower(), port)


def door_beside(url: str, port: int) -> str:
    """Return the URL of a door on the host of an API server.

    Raises:
        Malformed: the URL is not an API server's.
    """
    host = parse_server_url(url).host
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def check_server_url(url: str) -> Verdict:
    """Return whether a URL has the form of an API server's; its address is judged when it is resolved."""
    try:
        parse_server_url(url)
    except Malformed as fault:
        return _refuse(fault.message)
    return TRUSTED


def parse_bundle(pem: str) -> tuple[x509.Certificate, ...]:
    """Read 1 to 16 PEM certificates, 32 KiB together; there may be comments between them, but no other PEM.

    Raises:
        Malformed: too long, too many, none, or one of them is no certificate.
    """
    if len(pem) > BUNDLE_MAX:
        raise Malformed(f"the certificates are longer than {BUNDLE_MAX} bytes")
    if not pem.isascii():
        raise Malformed("the certificates are not in ASCII")
    blocks = _CERTIFICATE.findall(pem)
    if "-----" in _CERTIFICATE.sub("", pem):
        raise Malformed("there is something else than certificates among them")
    if not 1 <= len(blocks) <= CERTIFICATES_MAX:
        raise Malformed(f"there are {len(blocks)} certificates, not 1 to {CERTIFICATES_MAX}")
    certificates = tuple(map(_parse_certificate, blocks))
    try:
        # Two parsers differ in what they take: what is accepted here, no TLS connection may choke on later.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError):
        raise Malformed("one of the certificates cannot be read") from None
    return certificates


def _parse_certificate(body: str) -> x509.Certificate:
    """Read the base64 of one certificate.

    Raises:
        Malformed: it is none.
    """
    try:
        der = base64.b64decode("".join(body.split()), validate=True)
        if len(der) > CERTIFICATE_MAX:
            raise Malformed(f"a certificate is longer than {CERTIFICATE_MAX} bytes")
        return x509.load_der_x509_certificate(der)
    except (ValueError, x509.InvalidVersion):
        raise Malformed("one of the certificates cannot be read") from None


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one entry of the ConfigMap trusted-ca-certificates."""

    entry: str
    message: str


def parse_trusted(data: Mapping[str, str]) -> tuple[str, tuple[Problem, ...]]:
    """Read the ConfigMap trusted-ca-certificates: all good certificates as one bundle, and what is wrong.

    One bad certificate is reported; the others count.
    """
    good: dict[str, None] = {}
    problems = []
    for entry, text in sorted(data.items()):
        blocks = _BLOCK.findall(text)
        if not blocks:
            problems.append(Problem(entry, "there is no PEM certificate in it"))
        for number, block in enumerate(blocks, start=1):
            try:
                (certificate,) = parse_bundle(block)
            except Malformed as fault:
                problems.append(Problem(entry, f"block {number}: {fault.message}"[:PROBLEM_MAX]))
            else:
                good[certificate.public_bytes(Encoding.PEM).decode("ascii")] = None
    return "".join(good), tuple(problems)


def names_in(der: bytes) -> tuple[str, ...]:
    """Return the names and addresses that a certificate is for, as its owner wrote them.

    Raises:
        Malformed: it is no certificate.
    """
    try:
        found = x509.load_der_x509_certificate(der).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
    except x509.ExtensionNotFound:
        return ()
    except (ValueError, x509.InvalidVersion):
        raise Malformed("the certificate cannot be read") from None
    addresses = map(str, found.value.get_values_for_type(x509.IPAddress))
    return (*found.value.get_values_for_type(x509.DNSName), *addresses)


def covers(names: Sequence[str], host: str) -> bool:
    """Return whether a certificate for these names and addresses is for a host (RFC 9525 §6.3)."""
    try:
        return str(ip_address(host)) in names
    except ValueError:
        pass
    wild = "*." + host.partition(".")[2]
    return any(name.lower() in {host.lower(), wild.lower()} for name in names)


def fingerprints(pem: str) -> list[str]:
    """Return the SHA-256 fingerprints of certificates as openssl prints them.

    Raises:
        Malformed: they are no certificates.
    """
    digests = [hashlib.sha256(c.public_bytes(Encoding.DER)).hexdigest().upper() for c in parse_bundle(pem)]
    return [":".join(d[i : i + 2] for i in range(0, len(d), 2)) for d in digests]
