"""Credentials of our own cluster, from a kubeconfig, a pod's mount, or a program."""

import base64
import os
import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from liqo.adapters.kubeconfig import load_access, read_kubeconfig, read_pod
from liqo.errors import Invalid, Unreachable

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def make_pair() -> tuple[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), private.decode()


CERTIFICATE, KEY = make_pair()


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def write(folder: Path, user: dict[str, Any], cluster: dict[str, Any] | None = None) -> Path:
    path = folder / "config"
    config = {
        "current-context": "c",
        "clusters": [
            {"name": "other", "cluster": {"server": "https://other"}},
            {"name": "k", "cluster": {"server": "https://10.0.0.1:6443"} | (cluster or {})},
        ],
        "users": [{"name": "u", "user": user}],
        "contexts": [
            {"name": "c", "context": {"cluster": "k", "user": "u", "namespace": "liqo"}},
            {"name": "d", "context": {"cluster": "other", "user": "u"}},
        ],
    }
    path.write_text(yaml.safe_dump(config))
    return path


def test_a_token_and_a_ca(tmp_path: Path) -> None:
    path = write(tmp_path, {"token": "t"}, {"certificate-authority-data": encoded(CERTIFICATE)})
    access = read_kubeconfig(path)
    assert (access.server, access.namespace, access.ca_pem) == ("https://10.0.0.1:6443", "liqo", CERTIFICATE)
    assert access.token is not None
    assert access.token() == "t"
    assert access.ssl_context is not None
    assert access.ssl_context.verify_mode is ssl.CERT_REQUIRED
    assert access.ssl_context.check_hostname
    assert len(access.ssl_context.get_ca_certs()) == 1
    assert not access.in_cluster


def test_another_context(tmp_path: Path) -> None:
    access = read_kubeconfig(write(tmp_path, {"token": "t"}), "d")
    assert (access.server, access.namespace) == ("https://other", "default")


def test_a_client_certificate_in_files_beside_the_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "cert").write_text(CERTIFICATE)
    (tmp_path / "key").write_text(KEY)
    (tmp_path / "ca").write_text(CERTIFICATE)
    path = write(
        tmp_path, {"client-certificate": "cert", "client-key": "key"}, {"certificate-authority": "ca"}
    )
    access = read_kubeconfig(path)
    assert access.token is None
    assert access.ca_pem == CERTIFICATE


def test_a_client_certificate_inside(tmp_path: Path) -> None:
    user = {"client-certificate-data": encoded(CERTIFICATE), "client-key-data": encoded(KEY)}
    assert read_kubeconfig(write(tmp_path, user)).ssl_context is not None


def test_a_token_file_is_read_again_when_it_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "token"
    access = read_kubeconfig(write(tmp_path, {"tokenFile": "token"}))
    assert access.token is not None
    with pytest.raises(Unreachable):
        access.token()
    file.write_text("one\n")
    assert access.token() == "one"
    (tmp_path / "new").write_text("two\n")
    os.replace(tmp_path / "new", file)  # noqa: PTH105  what kubelet does
    assert access.token() == "two"
    file.unlink()
    assert access.token() == "two"


def test_other_names_and_no_verification_are_taken_from_the_owner_of_the_cluster(tmp_path: Path) -> None:
    access = read_kubeconfig(write(tmp_path, {}, {"tls-server-name": "kubernetes"}))
    assert access.server_hostname == "kubernetes"
    access = read_kubeconfig(write(tmp_path, {}, {"insecure-skip-tls-verify": True}))
    assert access.ssl_context is not None
    assert access.ssl_context.verify_mode is ssl.CERT_NONE
    assert read_kubeconfig(write(tmp_path, {}, {"server": "http://127.0.0.1:8001"})).ssl_context is None


@pytest.mark.parametrize(
    ("user", "cluster"),
    [
        ({"as": "root", "token": "t"}, {}),
        ({"username": "u", "password": "p"}, {}),
        ({}, {"proxy-url": "http://p"}),
        ({}, {"server": "ftp://x"}),
        ({}, {"server": ""}),
        ({"client-certificate-data": "%%%", "client-key-data": "x"}, {}),
        ({"client-certificate-data": encoded("x"), "client-key-data": encoded("y")}, {}),
        ({"client-certificate": "absent", "client-key": "absent"}, {}),
        ({}, {"certificate-authority-data": encoded("no PEM")}),
    ],
    ids=str,
)
def test_what_cannot_be_used_is_refused_with_a_sentence(
    tmp_path: Path, user: dict[str, Any], cluster: dict[str, Any]
) -> None:
    with pytest.raises(Invalid) as caught:
        read_kubeconfig(write(tmp_path, user, cluster))
    assert "kubeconfig" in caught.value.message


@pytest.mark.parametrize("text", ["", "[]", "a: [", "{}", "current-context: x", "contexts: 5", "\x00"])
def test_what_is_no_kubeconfig_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text)
    with pytest.raises(Invalid):
        read_kubeconfig(tmp_path / "config")


def test_where_a_kubeconfig_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, {"token": "t"})
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    assert load_access(path, environ={}).server
    assert load_access(environ={"KUBECONFIG": f"{tmp_path}/absent:{path}"}).server
    with pytest.raises(Invalid, match="no kubeconfig at"):
        load_access(tmp_path / "absent", environ={})
    with pytest.raises(Invalid, match="not a pod"):
        load_access(environ={})


def test_a_pods_own_credentials(tmp_path: Path) -> None:
    for name, text in (("token", "t\n"), ("ca.crt", CERTIFICATE), ("namespace", "liqo\n")):
        (tmp_path / name).write_text(text)
    access = read_pod(tmp_path, {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"})
    assert (access.server, access.namespace, access.in_cluster) == ("https://[fd00::1]:443", "liqo", True)
    assert access.token is not None
    assert access.token() == "t"


def test_no_big_client_library_is_loaded_for_a_plain_kubeconfig() -> None:
    program = "import sys, liqo.adapters.kubeconfig; sys.exit('kubernetes' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


async def test_a_program_makes_the_token_and_makes_it_again_when_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "n").write_text("0")
    program = tmp_path / "program"
    program.write_text(
        f"#!{sys.executable}\n"
        "import json, pathlib\n"
        f"file = pathlib.Path({str(tmp_path / 'n')!r})\n"
        "n = int(file.read_text()) + 1\n"
        "file.write_text(str(n))\n"
        "print(json.dumps({'apiVersion': 'client.authentication.k8s.io/v1', 'kind': 'ExecCredential',\n"
        "                  'status': {'token': f't{n}'}}))\n"
    )
    program.chmod(0o700)
    user = {
        "exec": {
            "command": str(program),
            "apiVersion": "client.authentication.k8s.io/v1",
            "interactiveMode": "Never",
        }
    }
    access = read_kubeconfig(write(tmp_path, user))
    assert access.token is not None
    assert access.refresh is not None
    assert access.token() == "t1"
    assert await access.refresh()
    assert access.token() == "t2"


def test_a_program_that_fails_is_refused(tmp_path: Path) -> None:
    user = {"exec": {"command": "/bin/false", "apiVersion": "client.authentication.k8s.io/v1"}}
    with pytest.raises(Invalid, match="no credentials"):
        read_kubeconfig(write(tmp_path, user))
