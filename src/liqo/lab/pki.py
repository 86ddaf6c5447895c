"""Keys and certificates of one throw-away cluster: a CA of its own, and one more for etcd.

The dates are fixed, so that nothing here reads a clock and no skew of a test can expire anything.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from liqo.lab.state import write_private

NOT_BEFORE = datetime(2024, 1, 1, tzinfo=UTC)
NOT_AFTER = datetime(2044, 1, 1, tzinfo=UTC)
ADMINS = "system:masters"


@dataclass(frozen=True, slots=True)
class Pair:
    """A key and the certificate on it."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def key_pem(self) -> str:
        """The private key, PKCS #8."""
        return key_pem(self.key)

    @property
    def certificate_pem(self) -> str:
        """The certificate."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()


def make_key() -> ec.EllipticCurvePrivateKey:
    """Return a new P-256 key: made in a millisecond, and every client takes it."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """Return a private key as PKCS #8."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def public_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """Return the public half of a key."""
    public = key.public_key()
    return public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()


def make_ca(name: str) -> Pair:
    """Return a CA that signs leaves only."""
    key = make_key()
    subject = _subject(name)
    builder = (
        _builder(subject, subject, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(ca=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return Pair(key, builder.sign(key, hashes.SHA256()))


def load_pair(folder: Path, what: str) -> Pair:
    """Return a pair that make_pki has written."""
    key = serialization.load_pem_private_key((folder / f"{what}.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return Pair(key, x509.load_pem_x509_certificate((folder / f"{what}.crt").read_bytes()))


def make_server(ca: Pair, name: str, hosts: Sequence[str]) -> Pair:
    """Return a certificate to serve under these names and addresses; it authenticates a client too."""
    return _leaf(
        ca, _subject(name), hosts, (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
    )


def make_client(ca: Pair, user: str, group: str = "") -> Pair:
    """Return a certificate that the API server takes as that user, in that group."""
    return _leaf(ca, _subject(user, group), (), (ExtendedKeyUsageOID.CLIENT_AUTH,))


def make_pki(folder: Path, *, name: str, hosts: Sequence[str], etcd_host: str) -> None:
    """Write all keys of a cluster into an empty folder; a complete one is left alone.

    Args:
        folder: gets `<what>.crt` and `<what>.key`, PEM.
        name: of the cluster; part of the CA's name, so that people can tell two CAs apart.
        hosts: names and addresses of the API server.
        etcd_host: address of etcd.
    """
    done = folder / "complete"
    if done.exists():
        return
    ca, etcd_ca, accounts = make_ca(f"{name} CA"), make_ca(f"{name} etcd CA"), make_key()
    pairs = {
        "ca": ca,
        "etcd-ca": etcd_ca,
        "server": make_server(ca, "kube-apiserver", hosts),
        "etcd": make_server(etcd_ca, "etcd", ("localhost", etcd_host)),
        "admin": make_client(ca, "lab-admin", ADMINS),
        "kubelet-client": make_client(ca, "kube-apiserver-kubelet-client", ADMINS),
        "controller-manager": make_client(ca, "system:kube-controller-manager"),
        "scheduler": make_client(ca, "system:kube-scheduler"),
    }
    for what, pair in pairs.items():
        write_private(folder / f"{what}.key", pair.key_pem)
        write_private(folder / f"{what}.crt", pair.certificate_pem)
    write_private(folder / "accounts.key", key_pem(accounts))
    write_private(folder / "accounts.pub", public_pem(accounts))
    write_private(done, "")


def make_front_pki(folder: Path) -> None:
    """Write the CA and certificate as which an API server passes requests on, where they are missing.

    The CA is one of its own: what it signs may come as anybody (kube-apiserver, --requestheader-client-ca-file).
    """
    if (folder / "front.crt").exists():
        return
    ca = make_ca("front proxy CA")
    front = make_client(ca, "front-proxy-client")
    write_private(folder / "front-ca.crt", ca.certificate_pem)
    write_private(folder / "front.key", front.key_pem)
    write_private(folder / "front.crt", front.certificate_pem)


def _leaf(
    ca: Pair, subject: x509.Name, hosts: Sequence[str], purposes: Sequence[x509.ObjectIdentifier]
) -> Pair:
    key = make_key()
    identifier = x509.SubjectKeyIdentifier.from_public_key(ca.key.public_key())
    builder = (
        _builder(subject, ca.certificate.subject, key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
        )
    )
    if hosts:
        names = x509.SubjectAlternativeName([_general_name(host) for host in dict.fromkeys(hosts)])
        builder = builder.add_extension(names, critical=False)
    return Pair(key, builder.sign(ca.key, hashes.SHA256()))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOT_BEFORE)
        .not_valid_after(NOT_AFTER)
    )


def _subject(name: str, group: str = "") -> x509.Name:
    groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group)] if group else []
    return x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
