"""Real name servers on loopback ports of their own: the lab's CoreDNS, and BIND from Debian."""

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
from liqo.lab.progress import Silent
from liqo.lab.pytest_plugin import wait_until

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
    """Return a port that is free for UDP and TCP."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            udp.bind(("127.0.0.1", 0))
            port: int = udp.getsockname()[1]
            try:
                tcp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def write(zone: Path, domain: str, serial: int, records: str) -> None:
    soa = f"@ 5 IN SOA ns.{domain}. hostmaster.{domain}. {serial} 60 60 3600 5\n@ 5 IN NS ns.{domain}.\n"
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
    yield from _bind(tmp_path, updates='allow-update { key "liqo-key"; };')


def _bind(tmp_path: Path, *, updates: str) -> Iterator[Serve]:
    folder = unpack(*BIND)
    with ExitStack() as stack:

        def serve(domain: str, records: str) -> NameServer:
            server = NameServer(free_port(), domain, tmp_path / "bind.zone")
            write(server.zone, domain, 1, records)
            config = tmp_path / "named.conf"
            config.write_text(
                f"""options {{
  directory "{tmp_path}"; pid-file none; session-keyfile "{tmp_path}/session.key";
  listen-on port {server.port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  recursion no; dnssec-validation no; minimal-responses yes; max-records-per-type 0;
}};
controls {{ }};
key "liqo-key" {{ algorithm hmac-sha256; secret "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U="; }};
zone "{domain}" {{ type primary; file "{server.zone}"; {updates} }};
"""
            )
            argv = [str(folder / "usr" / "sbin" / "named"), "-f", "-c", str(config)]
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
