"""Certificates that our own servers show: a CA of our own and one leaf, made anew when they near their end."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from liqo.api.names import KUBELET_SERVICE

LIFETIME = timedelta(days=365)
RENEW_BEFORE = timedelta(days=90)
BACKDATE = timedelta(minutes=10)  # clocks differ


@dataclass(frozen=True, slots=True)
class Serving:
    """A leaf with its key, and the CA that signed it; PEM."""

    ca: bytes
    certificate: bytes
    key: bytes


def is_fresh(serving: Serving, hosts: Sequence[str], now: datetime) -> bool:
    """Return whether a certificate covers these hosts for long enough still."""
    leaf = x509.load_pem_x509_certificate(serving.certificate)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    have = {str(v) for v in names.get_values_for_type(x509.IPAddress)}
    have |= set(names.get_values_for_type(x509.DNSName))
    return set(hosts) <= have and now < leaf.not_valid_after_utc - RENEW_BEFORE


def make_serving(hosts: Sequence[str], now: datetime) -> Serving:
    """Return a new CA and a leaf for these hosts (names or addresses)."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "liqo-serving-ca")])
    ca = (
        _builder(ca_name, ca_name, ca_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    leaf = (
        _builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "liqo")]), ca_name, key.public_key(), now)
        .add_extension(x509.SubjectAlternativeName([_general_name(h) for h in hosts]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return Serving(
        ca=ca.public_bytes(pem),
        certificate=leaf.public_bytes(pem),
        key=key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


def forge_kubelet_request(address: str) -> tuple[str, bytes]:
    """Return a request for a kubelet's serving certificate (base64 of PEM), and its key (PEM).

    The subject is what the signer kubernetes.io/kubelet-serving asks for. It is no node's: an API server checks the
    address that it dials, and that is one for all virtual nodes.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"system:node:{KUBELET_SERVICE}"),
        ]
    )
    names = x509.SubjectAlternativeName([_general_name(address)])
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(subject)
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    text = base64.b64encode(request.public_bytes(pem)).decode()
    return text, key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + LIFETIME)
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
