"""Real name servers: the lab's CoreDNS and BIND from Debian, on loopback ports of their own or on a lab's host."""

import secrets
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import dns.message
import dns.query
import pytest

from debian import library_path, unpack
from liqo.lab.build import ensure_binaries
from liqo.lab.lab import Lab
from liqo.lab.progress import Silent
from liqo.lab.pytest_plugin import wait_until

KEY = """key "liqo-key" { algorithm hmac-sha256; secret "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U="; };
"""
UPDATES = 'allow-update { key "liqo-key"; };'
PORT = 5300  # on a lab's host
PORTS = range(10_000, 20_000)  # on this one: below those of connections, and of the lab's relays
BIND = ("bind9", "bind9-libs", "libjemalloc2", "liblmdb0", "libmaxminddb0", "libfstrm0", "libprotobuf-c1")


@dataclass
class NameServer:
    """A running name server and the zone that it serves."""

    port: int
    domain: str
    zone: Path
    serial: int = 1
    reload: Callable[[], None] = lambda: None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def serve(self, records: str) -> None:
        """Serve these records from now on, and wait until it does."""
        self.serial += 1
        write(self.zone, self.domain, self.serial, records)
        self.reload()

        def served() -> bool:
            query = dns.message.make_query(f"{self.domain}.", "SOA")
            answer = dns.query.udp(query, "127.0.0.1", port=self.port, timeout=1)
            return bool(answer.answer and next(iter(answer.answer[0])).serial == self.serial)

        wait_until(served)


Serve = Callable[[str, str], NameServer]
"""(domain, records) → a server of that zone."""


def free_port() -> int:
    """Return a port that is free for UDP and TCP, of those that nobody is given who asks for any."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            port = secrets.choice(PORTS)
            try:
                udp.bind(("127.0.0.1", port))
                tcp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def seed_zone(one: tuple[str, str], two: tuple[str, str]) -> str:
    """Return the seed's zone with its placeholders filled: id and address of liqo1 and liqo2.

    The blanks at the start of a line mean the name above; liqo2's server is an alias, as the seed allows.
    """
    return f"""
mydomain.com.                    PTR     liqo1._liqo._tcp.mydomain.com.
                                 PTR     liqo2._liqo._tcp.mydomain.com.

liqo1._liqo._tcp.mydomain.com.   SRV     0 0 6443 apiserver1.mydomain.com.

liqo1._liqo._tcp.mydomain.com.   TXT     "id={one[0]}" "namespace=liqo"

apiserver1.mydomain.com.         A       {one[1]}

liqo2._liqo._tcp.mydomain.com.   SRV     0 0 6443 apiserver2.mydomain.com.

liqo2._liqo._tcp.mydomain.com.   TXT     "id={two[0]}" "namespace=liqo"

apiserver2.mydomain.com.         CNAME   server2.mydomain.com.
server2.mydomain.com.            A       {two[1]}
"""


def write(zone: Path, domain: str, serial: int, records: str) -> None:
    soa = f"@ 5 IN SOA ns hostmaster {serial} 60 60 3600 5\n@ 5 IN NS ns\n"
    zone.write_text(f"$ORIGIN {domain}.\n$TTL 5\n{soa}ns 5 IN A 127.0.0.1\n{records}\n")


def start(stack: ExitStack, argv: list[str], env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    process = stack.enter_context(
        subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    )
    stack.callback(process.kill)
    return process


@pytest.fixture
def coredns(tmp_path: Path) -> Iterator[Serve]:
    with ExitStack() as stack:

        def serve(domain: str, records: str) -> NameServer:
            server = NameServer(free_port(), domain, tmp_path / "core.zone")
            write(server.zone, domain, 1, records)
            corefile = tmp_path / "Corefile"
            corefile.write_text(
                f".:{server.port} {{\n bind 127.0.0.1\n file {server.zone} {domain} {{\n reload 1s\n }}\n}}\n"
            )
            start(stack, [ensure_binaries(Silent()).path("coredns"), "-conf", str(corefile)])
            server.serve(records)
            return server

        yield serve


@pytest.fixture
def bind(tmp_path: Path) -> Iterator[Serve]:
    """BIND with zones from files."""
    yield from _bind(tmp_path, updates="")


@pytest.fixture
def updatable(tmp_path: Path) -> Iterator[Serve]:
    """BIND that takes updates (RFC 2136) signed with the key `liqo-key`."""
    yield from _bind(tmp_path, updates=UPDATES)


def named(
    folder: Path, work: Path, zone: Path, domain: str, address: str, port: int, updates: str
) -> list[str]:
    """Write BIND's configuration into a folder and return its command.

    Args:
        folder: where its programs are.
        work: where it works; `named.pid` appears there when it answers.
        zone: the zone's file.
        domain: the zone's name; "" for all of DNS.
        address: on which it listens.
        port: on which it listens.
        updates: who may change the zone; "" for nobody.
    """
    config = work / "named.conf"
    config.write_text(
        f"""options {{
  directory "{work}"; pid-file "{work}/named.pid"; session-keyfile "{work}/session.key";
  listen-on port {port} {{ {address}; }}; listen-on-v6 {{ none; }};
  recursion no; dnssec-validation no; minimal-responses yes; max-records-per-type 0;
}};
controls {{ }};
{KEY}zone "{domain or "."}" {{ type primary; file "{zone}"; {updates} }};
"""
    )
    return [str(folder / "usr" / "sbin" / "named"), "-f", "-c", str(config)]


@dataclass
class LabNameServer:
    """BIND on the host of a lab's cluster; what it serves is set as for the lab's own name server."""

    address: str
    domain: str
    zone: Path
    process: subprocess.Popen[bytes]
    serial: int = 1

    def set_records(self, records: str) -> None:
        """Serve these records from now on; it takes notice at once."""
        self.serial += 1
        write(self.zone, self.domain, self.serial, records)
        self.process.send_signal(signal.SIGHUP)


LabBind = Callable[..., LabNameServer]
"""(lab, cluster, domain="", updates="") → BIND on that cluster's host."""


@pytest.fixture
def lab_bind(tmp_path: Path) -> Iterator[LabBind]:
    folder = unpack(*BIND)
    with ExitStack() as stack:

        def serve(lab: Lab, cluster: str, domain: str = "", updates: str = "") -> LabNameServer:
            host, zone = lab.cluster(cluster).host, tmp_path / "bind.zone"
            write(zone, domain, 1, "")
            argv = named(folder, tmp_path, zone, domain, host, PORT, updates)
            command = lab.command(cluster, argv)
            process = start(stack, command.argv, {**command.env, **library_path(folder)})
            wait_until((tmp_path / "named.pid").exists)
            return LabNameServer(f"{host}:{PORT}", domain, zone, process)

        yield serve


def _bind(tmp_path: Path, *, updates: str) -> Iterator[Serve]:
    folder = unpack(*BIND)
    with ExitStack() as stack:

        def serve(domain: str, records: str) -> NameServer:
            server = NameServer(free_port(), domain, tmp_path / "bind.zone")
            write(server.zone, domain, 1, records)
            argv = named(folder, tmp_path, server.zone, domain, "127.0.0.1", server.port, updates)
            process = start(stack, argv, library_path(folder))

            def reload() -> None:
                process.send_signal(1)

            server.reload = reload
            wait_until(
                lambda: (
                    dns.query.udp(
                        dns.message.make_query(f"{domain}.", "SOA"), "127.0.0.1", port=server.port, timeout=1
                    ).answer
                )
            )
            return server

        yield serve
