from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from liqo.lab.pki import ADMINS, NOT_BEFORE, make_front_pki, make_pki


def load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pki")
    make_pki(folder, name="rome", hosts=("10.77.0.11", "127.0.0.1", "rome.lab"), etcd_host="127.0.0.1")
    make_front_pki(folder)
    return folder


@pytest.mark.parametrize("host", ["10.77.0.11", "127.0.0.1", "rome.lab"])
def test_the_api_server_is_trusted_at_each_of_its_names(pki: Path, host: str) -> None:
    subject = x509.DNSName(host) if host.endswith("lab") else x509.IPAddress(ip_address(host))
    verifier = (
        PolicyBuilder().store(Store([load(pki / "ca.crt")])).time(NOT_BEFORE).build_server_verifier(subject)
    )
    verifier.verify(load(pki / "server.crt"), [])


def test_a_certificate_of_one_ca_is_nothing_to_the_other(pki: Path) -> None:
    verifier = (
        PolicyBuilder().store(Store([load(pki / "etcd-ca.crt")])).time(NOT_BEFORE).build_client_verifier()
    )
    with pytest.raises(VerificationError):
        verifier.verify(load(pki / "admin.crt"), [])


@pytest.mark.parametrize(
    ("who", "user", "group"),
    [
        ("admin", "lab-admin", ADMINS),
        ("controller-manager", "system:kube-controller-manager", None),
        ("scheduler", "system:kube-scheduler", None),
    ],
)
def test_a_client_is_who_its_certificate_says(pki: Path, who: str, user: str, group: str | None) -> None:
    certificate = load(pki / f"{who}.crt")
    groups = [a.value for a in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    assert certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == user
    assert groups == ([group] if group else [])
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_who_may_come_as_anybody_is_of_a_ca_that_signs_nothing_else(pki: Path) -> None:
    issuers = {path.name: load(path).issuer for path in pki.glob("*.crt")}
    front = {name for name, issuer in issuers.items() if issuer == issuers["front-ca.crt"]}
    assert front == {"front-ca.crt", "front.crt"}
    before = load(pki / "front.crt")
    make_front_pki(pki)
    assert load(pki / "front.crt") == before


def test_keys_are_private(pki: Path) -> None:
    assert {path.stat().st_mode & 0o777 for path in pki.iterdir()} == {0o600}


def test_the_key_for_accounts_comes_in_two_halves(pki: Path) -> None:
    private = load_pem_private_key((pki / "accounts.key").read_bytes(), None)
    assert private.public_key() == load_pem_public_key((pki / "accounts.pub").read_bytes())


def test_a_complete_pki_is_left_alone(pki: Path) -> None:
    before = {path.name: path.read_bytes() for path in pki.iterdir()}
    make_pki(pki, name="rome", hosts=("192.0.2.1",), etcd_host="192.0.2.1")
    assert {path.name: path.read_bytes() for path in pki.iterdir()} == before
