"""What neighbours say on the wire, as our own types: the adapter translates at the door; pure."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Service:
    """An SRV record (RFC 2782); a TTL of 0 is a goodbye (RFC 6762 §10.1)."""

    instance: str
    host: str
    port: int
    ttl: timedelta


@dataclass(frozen=True, slots=True)
class Text:
    """The strings of a TXT record, each of at most 255 bytes."""

    instance: str
    strings: tuple[bytes, ...]
    ttl: timedelta


@dataclass(frozen=True, slots=True)
class Pointer:
    """A PTR record of the service type: there is such an instance, or with a TTL of 0 no longer."""

    instance: str
    ttl: timedelta


@dataclass(frozen=True, slots=True)
class HostAddress:
    """An A or AAAA record; with `flush` it replaces older ones of its family (RFC 6762 §10.2)."""

    host: str
    address: str
    ttl: timedelta
    flush: bool = False


Record = Service | Text | Pointer | HostAddress


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be asked on the LAN: SRV and TXT of an instance, and the addresses of a host if that is known."""

    instance: str
    host: str
