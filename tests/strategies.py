"""What hypothesis draws from: identities, ids, certificates, credentials; and the hand tools of an attacker."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import strategies as st

from liqo.identity.cluster_id import Identity, new_identity, rotate_sealing
from liqo.identity.kubeconfig import Credentials
from liqo.runtime.secret import Secret


@cache
def certificate(name: str = "ca", serial: int = 7) -> str:
    """Return a self-signed CA certificate as PEM."""
    key = ec.derive_private_key(1_000_003 + serial, ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2049, 1, 1, tzinfo=UTC))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
        .decode("ascii")
    )


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def jws_by_hand(header: Mapping[str, Any], payload: object, identity: Identity | None) -> str:
    """Return a JWS with any header; with a good Ed25519 signature if there is an identity, else with none."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    text = f"{base64url(json.dumps(header).encode())}.{base64url(body)}"
    return f"{text}.{base64url(ed25519(identity, text.encode()) if identity else b'')}"


def ed25519(identity: Identity, message: bytes) -> bytes:
    key = identity.signing_key.private_key
    assert key is not None
    return key.sign(message)  # type: ignore[union-attr]  # an identity signs with Ed25519


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)

# A few are enough, and making one takes longer than anything that is tested with it.
_IDENTITIES = [new_identity() for _ in range(4)]
_IDENTITIES.append(rotate_sealing(_IDENTITIES[0]))

identities = st.sampled_from(_IDENTITIES)
cluster_ids = st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=32, max_size=32)
legacy_ids = st.uuids().map(str)
labels = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)
instants = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001
    lambda at: at.replace(microsecond=0)
)
ports = st.integers(1, 65_535)
hosts = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda ip: f"[{ip}]"),
    st.lists(labels, min_size=1, max_size=3).map(lambda parts: ".".join([*parts, "example"])),
)
servers = st.builds(
    lambda host, port: f"https://{host}" + (f":{port}" if port else ""), hosts, st.none() | ports
)
bundles = st.lists(st.integers(1, 6), max_size=3, unique=True).map(
    lambda serials: "".join(certificate(serial=s) for s in serials)
)
tokens = st.text(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-", min_size=1, max_size=1200
)
credentials = st.builds(
    Credentials, server=servers, ca_pem=bundles, token=tokens.map(Secret), namespace=labels
)
