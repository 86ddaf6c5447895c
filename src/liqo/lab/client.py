"""The few requests that the lab itself makes of a cluster; for anything else there is kubectl."""

import http.client
import json
import socket
import ssl
from dataclasses import dataclass
from typing import Any

from liqo.api.meta import Wire
from liqo.errors import Unreachable
from liqo.lab.component import Probe
from liqo.lab.spec import ClusterSpec

TIMEOUT_SECONDS = 10.0
OK = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said."""

    status: int
    body: bytes

    def json(self) -> Wire:
        """Return the body."""
        value: Wire = json.loads(self.body)
        return value


def request(
    spec: ClusterSpec,
    probe: Probe,
    *,
    method: str = "GET",
    body: Any = None,
    timeout: float = TIMEOUT_SECONDS,
) -> Answer:
    """Make one request of a service of a cluster, by a connection of its own.

    Args:
        spec: the cluster.
        probe: service, path and certificate.
        method: of HTTP.
        body: sent as JSON.
        timeout: of each read and write, seconds.

    Raises:
        Unreachable: nobody answers there.
    """
    address, port = spec.reach(probe.service)
    connection = http.client.HTTPConnection(address, port)
    connection.sock = _socket(spec, probe, timeout)
    try:
        connection.sock.connect((address, port))
        data = None if body is None else json.dumps(body)
        connection.request(method, probe.path, body=data, headers={"Content-Type": "application/json"})
        response = connection.getresponse()
        return Answer(response.status, response.read())
    except (OSError, http.client.HTTPException) as exc:
        raise Unreachable(f"{spec.name}: {probe.service} does not answer: {exc}") from exc
    finally:
        connection.close()


def _socket(spec: ClusterSpec, probe: Probe, timeout: float) -> socket.socket:
    """Return a socket that is not connected yet.

    TLS is put on before and not, as http.client does, after: Python 3.11 loses the socket when a connection
    is reset just between the two, as happens while a program starts.
    """
    plain = socket.socket()
    plain.settimeout(timeout)
    if not probe.tls:
        return plain
    context = ssl.create_default_context(cafile=str(spec.pki / f"{probe.ca}.crt"))
    context.load_cert_chain(spec.pki / f"{probe.client}.crt", spec.pki / f"{probe.client}.key")
    return context.wrap_socket(plain, server_hostname=spec.reach(probe.service)[0])


def is_ready(spec: ClusterSpec, probe: Probe, *, timeout: float = TIMEOUT_SECONDS) -> bool:
    """Say whether a service is ready."""
    try:
        return request(spec, probe, timeout=timeout).status == OK
    except Unreachable:
        return False


def api(spec: ClusterSpec, method: str, path: str, body: Any = None) -> Answer:
    """Make one request of the API server, as administrator."""
    return request(spec, Probe(service="api", path=path), method=method, body=body)
