import base64
import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwe
from joserfc.jwk import OctKey, OKPKey
from joserfc.registry import HeaderParameter

from liqo.api.bounds import SEALED_MAX
from liqo.errors import Invalid, Malformed, NotTrusted
from liqo.identity.cluster_id import Identity, new_identity, rotate_sealing
from liqo.identity.jws import sign
from liqo.identity.keys import thumbprint
from liqo.identity.kubeconfig import (
    TOKEN_MAX,
    TYP,
    Credentials,
    digest,
    format_credentials,
    parse_credentials,
    seal,
    token_expiry,
    unseal,
)
from liqo.runtime.secret import Secret
from strategies import base64url, certificate, credentials, identities

HOME = new_identity()
FOREIGN = new_identity()
MALLORY = new_identity()
CA = base64.b64encode(certificate().encode()).decode()
GOOD = {
    "server": "https://192.0.2.1:6443",
    "certificate-authority-data": CA,
    "token": "eyJ.abc-_.xyz",
    "namespace": "liqo",
}


@given(credentials)
def test_credentials_are_read_as_they_were_written(given: Credentials) -> None:
    assert parse_credentials(format_credentials(given)) == given


@given(credentials, identities, identities)
def test_what_was_sealed_is_opened_by_whom_it_was_sealed_to(
    given: Credentials, home: Identity, foreign: Identity
) -> None:
    sealed = seal(given, foreign.keys.sealing, issuer=home.cluster_id, audience=foreign.cluster_id)
    assert unseal(sealed, foreign, issuer=home.cluster_id, audience=foreign.cluster_id) == given
    assert sealed != seal(given, foreign.keys.sealing, issuer=home.cluster_id, audience=foreign.cluster_id)


def sealed_good(recipient: Identity = FOREIGN) -> str:
    return seal(
        parse_credentials(json.dumps(GOOD).encode()),
        recipient.keys.sealing,
        issuer=HOME.cluster_id,
        audience=recipient.cluster_id,
    )


def opened(text: str, identity: Identity = FOREIGN) -> Credentials:
    return unseal(text, identity, issuer=HOME.cluster_id, audience=identity.cluster_id)


def test_a_kubeconfig_sealed_to_the_previous_key_still_opens_and_to_the_one_before_no_more() -> None:
    sealed = sealed_good()
    once = rotate_sealing(FOREIGN)
    assert opened(sealed, once).server == GOOD["server"]
    with pytest.raises(NotTrusted) as caught:
        opened(sealed, rotate_sealing(once))
    assert caught.value.reason == "BadCredentials"


def test_without_certificates_the_roots_that_everybody_knows_are_meant() -> None:
    assert parse_credentials(json.dumps(GOOD | {"certificate-authority-data": ""}).encode()).ca_pem == ""


# What a kubeconfig may ask of a client library (the first ones were seen to run a program as it was loaded).
HOSTILE: dict[str, Any] = {
    "a program to run": GOOD | {"exec": {"command": "/bin/sh", "args": ["-c", "id"]}},
    "a program as auth-provider": GOOD
    | {"auth-provider": {"name": "gcp", "config": {"cmd-path": "/bin/sh"}}},
    "an issuer to ask": GOOD | {"auth-provider": {"name": "oidc", "config": {"idp-issuer-url": "https://x"}}},
    "our own token's file": GOOD | {"tokenFile": "/var/run/secrets/kubernetes.io/serviceaccount/token"},
    "our own token's file in place of a token": {k: v for k, v in GOOD.items() if k != "token"}
    | {"tokenFile": "/var/run/secrets/kubernetes.io/serviceaccount/token"},
    "a certificate's file": GOOD | {"client-certificate": "/etc/kubernetes/pki/apiserver.crt"},
    "a key's file": GOOD | {"client-key": "/etc/kubernetes/pki/apiserver.key"},
    "a key": GOOD | {"client-key-data": "AAAA"},
    "a CA's file": GOOD | {"certificate-authority": "/etc/passwd"},
    "no verification": GOOD | {"insecure-skip-tls-verify": True},
    "a proxy": GOOD | {"proxy-url": "http://attacker.example:3128"},
    "another name to verify": GOOD | {"tls-server-name": "attacker.example"},
    "another user": GOOD | {"as": "system:admin"},
    "a password": GOOD | {"username": "root", "password": "toor"},
    "a whole kubeconfig": {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "x", "cluster": {"server": GOOD["server"]}}],
        "users": [{"name": "x", "user": {"exec": {"command": "id"}}}],
    },
    "a key in another case": GOOD | {"Token": "x"},
    "an empty key": GOOD | {"": "x"},
    "no server": {k: v for k, v in GOOD.items() if k != "server"},
    "no certificates": {k: v for k, v in GOOD.items() if k != "certificate-authority-data"},
    "no token": {k: v for k, v in GOOD.items() if k != "token"},
    "no namespace": {k: v for k, v in GOOD.items() if k != "namespace"},
    "no TLS": GOOD | {"server": "http://192.0.2.1:6443"},
    "the cloud's metadata in clear": GOOD | {"server": "http://169.254.169.254/latest/meta-data"},
    "a file": GOOD | {"server": "file:///etc/passwd"},
    "a Unix socket": GOOD | {"server": "unix:///var/run/docker.sock"},
    "a user in the URL": GOOD | {"server": "https://kubernetes.default.svc@attacker.example"},
    "a path": GOOD | {"server": "https://192.0.2.1:6443/api/v1/namespaces"},
    "a query": GOOD | {"server": "https://192.0.2.1:6443/?watch=1"},
    "a fragment": GOOD | {"server": "https://192.0.2.1:6443#x"},
    "a header behind the host": GOOD | {"server": "https://192.0.2.1\r\nHost: x"},
    "loopback in octal": GOOD | {"server": "https://0177.0.0.1"},
    "loopback in one number": GOOD | {"server": "https://2130706433"},
    "port 0": GOOD | {"server": "https://192.0.2.1:0"},
    "port 65536": GOOD | {"server": "https://192.0.2.1:65536"},
    "a URL without end": GOOD | {"server": "https://" + "a." * 2000 + "example"},
    "a server as a list": GOOD | {"server": ["https://192.0.2.1:6443"]},
    "no token in the token": GOOD | {"token": ""},
    "a second header in the token": GOOD | {"token": "a\r\nImpersonate-User: root"},
    "a newline behind the token": GOOD | {"token": "a\n"},
    "a space in the token": GOOD | {"token": "a b"},
    "letters outside ASCII in the token": GOOD | {"token": "tökén"},
    "a token without end": GOOD | {"token": "a" * (TOKEN_MAX + 1)},
    "a token as a number": GOOD | {"token": 7},
    "no token but null": GOOD | {"token": None},
    "a namespace with a slash": GOOD | {"namespace": "../../nodes"},
    "a namespace in upper case": GOOD | {"namespace": "Liqo"},
    "a namespace that is too long": GOOD | {"namespace": "n" * 64},
    "no namespace in the namespace": GOOD | {"namespace": ""},
    "a newline behind the namespace": GOOD | {"namespace": "liqo\n"},
    "certificates that are no base64": GOOD | {"certificate-authority-data": "!!!"},
    "certificates with line breaks": GOOD | {"certificate-authority-data": CA[:60] + "\n" + CA[60:]},
    "certificates that are a path": GOOD | {"certificate-authority-data": "/etc/passwd"},
    "certificates that are no PEM": GOOD | {"certificate-authority-data": "AAAA"},
    "certificates that are no ASCII": GOOD
    | {"certificate-authority-data": base64.b64encode(certificate().encode() + b"\xff").decode()},
    "seventeen certificates": GOOD
    | {"certificate-authority-data": base64.b64encode(certificate().encode() * 17).decode()},
    "certificates without end": GOOD | {"certificate-authority-data": "A" * 200_000},
    "a private key among the certificates": GOOD
    | {
        "certificate-authority-data": base64.b64encode(
            certificate().encode() + b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
        ).decode()
    },
    "a list": [GOOD],
    "a text": "server",
    "nothing": None,
}


@pytest.mark.parametrize("wire", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_kubeconfig_is_refused(wire: Any) -> None:
    with pytest.raises(Malformed) as caught:
        parse_credentials(json.dumps(wire).encode())
    assert caught.value.reason == "BadCredentials"
    assert len(caught.value.message) < 250


HOSTILE_BYTES = {
    "nothing": b"",
    "a YAML bomb": b"a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n",
    "YAML": b"server: https://192.0.2.1:6443\ntoken: x\n",
    "YAML with a Python tag": b"!!python/object/apply:os.system [id]",
    "a list that nests without end": b"[" * 12_000,
    "an object that nests without end": b'{"a":' * 2_000,
    "UTF-16": json.dumps(GOOD).encode("utf-16"),
    "two objects": json.dumps(GOOD).encode() * 2,
    "comments": b"// x\n" + json.dumps(GOOD).encode(),
    "zeros": bytes(9_999),
}


@pytest.mark.parametrize("raw", HOSTILE_BYTES.values(), ids=HOSTILE_BYTES.keys())
def test_hostile_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(Malformed):
        parse_credentials(raw)


@given(st.binary(max_size=400) | st.text().map(str.encode))
def test_whatever_comes_as_a_kubeconfig_is_refused_in_order(raw: bytes) -> None:
    with pytest.raises(Malformed):
        parse_credentials(raw)


def seal_by_hand(plain: bytes, **changes: Any) -> str:
    """Seal anything under any header, as everybody who knows the public key can."""
    header = {
        "alg": "ECDH-ES+A256KW",
        "enc": "A256GCM",
        "typ": TYP,
        "kid": thumbprint(FOREIGN.keys.sealing),
        "iss": HOME.cluster_id,
        "aud": FOREIGN.cluster_id,
    } | changes
    header = {k: v for k, v in header.items() if v is not None}
    registry = jwe.JWERegistry(
        header_registry={k: HeaderParameter(k, lambda _: None) for k in header},
        algorithms=[header.get("alg", ""), header.get("enc", ""), "DEF"],
    )
    key = OKPKey.import_key({k: v for k, v in FOREIGN.keys.sealing.items() if k not in {"use", "kid"}})
    return jwe.encrypt_compact(header, plain, key, registry=registry)


def test_an_attackers_own_sealing_opens_if_all_is_as_it_should_be() -> None:
    assert opened(seal_by_hand(json.dumps(GOOD).encode())).server == GOOD["server"]


@pytest.mark.parametrize("wire", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_kubeconfig_is_refused_when_it_comes_sealed(wire: Any) -> None:
    plain = json.dumps(wire).encode()
    if len(plain) < 40_000:
        with pytest.raises(Malformed) as caught:
            opened(seal_by_hand(plain))
        assert caught.value.reason == "BadCredentials"


PLAIN = json.dumps(GOOD).encode()
SEALED = sealed_good()


def with_header(text: str = SEALED, **changes: Any) -> str:
    """Exchange the header of something sealed."""
    head, rest = text.split(".", 1)
    header = json.loads(base64.urlsafe_b64decode(head + "==")) | changes
    return base64url(json.dumps({k: v for k, v in header.items() if v is not None}).encode()) + "." + rest


def direct() -> str:
    """A JWE under a secret that the attacker chose, with the recipient's public key for it."""
    secret = OctKey.import_key(base64.urlsafe_b64decode(FOREIGN.keys.sealing["x"] + "="))
    header = {"alg": "dir", "enc": "A256GCM", "typ": TYP, "kid": thumbprint(FOREIGN.keys.sealing)}
    return jwe.encrypt_compact(header, PLAIN, secret, algorithms=["dir", "A256GCM"])


EPK = new_identity().keys.sealing
NO_SEAL = {
    "nothing": "",
    "no JWE": "a.b.c",
    "six parts": SEALED + ".AAAA",
    "longer than allowed": SEALED + "A" * SEALED_MAX,
    "a JWS": sign(GOOD, HOME, typ=TYP),
    "four empty parts": SEALED.split(".", 1)[0] + "....",
    "a newline behind it": SEALED + "\n",
    "a bomb": seal_by_hand(b'{"server":"' + b"a" * 200_000, zip="DEF"),
    "zip that was never used": with_header(zip="DEF"),
    "a secret that the attacker knows": direct(),
    "no key wrapping": seal_by_hand(PLAIN, alg="ECDH-ES"),
    "a weaker wrapping": seal_by_hand(PLAIN, alg="ECDH-ES+A128KW"),
    "a weaker cipher": seal_by_hand(PLAIN, enc="A128GCM"),
    "another mode": seal_by_hand(PLAIN, enc="A256CBC-HS512"),
    "no alg": with_header(alg=None),
    "alg none": with_header(alg="none"),
    "no enc": with_header(enc=None),
    "no typ": seal_by_hand(PLAIN, typ=None),
    "typ JWT": seal_by_hand(PLAIN, typ="JWT"),
    "no kid": seal_by_hand(PLAIN, kid=None),
    "kid as a list": seal_by_hand(PLAIN, kid=["x"]),
    "crit": seal_by_hand(PLAIN, crit=["alg"]),
    "jku": seal_by_hand(PLAIN, jku="https://attacker.example/keys"),
    "jwk": seal_by_hand(PLAIN, jwk=MALLORY.keys.sealing),
    "x5u": seal_by_hand(PLAIN, x5u="https://attacker.example/chain"),
    "apu": seal_by_hand(PLAIN, apu="AAAA"),
    "cty": seal_by_hand(PLAIN, cty="JWT"),
    "something of a stranger's": seal_by_hand(PLAIN, x="y"),
    "no epk": with_header(epk=None),
    "an epk that is no key": with_header(epk="AAAA"),
    "an epk on another curve": with_header(epk={"kty": "OKP", "crv": "Ed25519", "x": HOME.keys.signing["x"]}),
    "an epk of another type": with_header(epk={"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"}),
    "an epk with a private half": with_header(
        epk={"kty": "OKP", "crv": "X25519", "x": EPK["x"], "d": "A" * 43}
    ),
    "an epk that agrees on nothing": with_header(
        epk={"kty": "OKP", "crv": "X25519", "x": base64url(bytes(32))}
    ),
    "another epk": with_header(epk={"kty": "OKP", "crv": "X25519", "x": EPK["x"]}),
    "an epk that is too short": with_header(epk={"kty": "OKP", "crv": "X25519", "x": "AAAA"}),
    "a short IV": re.sub(r"\.[^.]*(\.[^.]*\.[^.]*)$", r".AAAA\1", SEALED),
    "a short tag": SEALED.rsplit(".", 1)[0] + ".AAAA",
    "no tag": SEALED.rsplit(".", 1)[0] + ".",
    "no wrapped key": re.sub(r"^([^.]*)\.[^.]*", r"\1.", SEALED),
    "a wrapped key of another length": re.sub(r"^([^.]*)\.[^.]*", r"\1.AAAA", SEALED),
    "no ciphertext": re.sub(r"\.[^.]*(\.[^.]*)$", r".\1", SEALED),
}


@pytest.mark.parametrize("text", NO_SEAL.values(), ids=NO_SEAL.keys())
def test_what_is_sealed_in_another_way_is_refused(text: str) -> None:
    with pytest.raises(Malformed) as caught:
        opened(text)
    assert caught.value.reason == "BadCredentials"
    assert len(caught.value.message) < 200


@given(st.integers(0, len(SEALED) - 1), st.sampled_from("ABCabc019-_."))
def test_no_character_of_what_is_sealed_can_be_changed(position: int, character: str) -> None:
    text = SEALED[:position] + character + SEALED[position + 1 :]
    if text != SEALED:
        with pytest.raises((Malformed, NotTrusted)):
            opened(text)


def test_what_is_sealed_cannot_be_passed_on_in_another_clusters_name() -> None:
    with pytest.raises(NotTrusted) as caught:
        unseal(SEALED, FOREIGN, issuer=MALLORY.cluster_id, audience=FOREIGN.cluster_id)
    assert caught.value.reason == "WrongClusterID"
    with pytest.raises(NotTrusted) as caught:
        unseal(SEALED, FOREIGN, issuer=HOME.cluster_id, audience=MALLORY.cluster_id)
    assert caught.value.reason == "WrongClusterID"
    with pytest.raises(Malformed):  # nor can its header be written anew
        unseal(
            with_header(iss=MALLORY.cluster_id),
            FOREIGN,
            issuer=MALLORY.cluster_id,
            audience=FOREIGN.cluster_id,
        )


def test_only_the_recipient_opens_it() -> None:
    with pytest.raises(NotTrusted) as caught:
        unseal(SEALED, MALLORY, issuer=HOME.cluster_id, audience=FOREIGN.cluster_id)
    assert caught.value.reason == "BadCredentials"
    forged = with_header(kid=thumbprint(MALLORY.keys.sealing))
    with pytest.raises(Malformed):
        unseal(forged, MALLORY, issuer=HOME.cluster_id, audience=FOREIGN.cluster_id)


RECIPIENTS: dict[str, dict[str, Any]] = {
    "a signing key": FOREIGN.keys.signing,
    "a private key": FOREIGN.keys.sealing | {"d": "A" * 43},
    "a key that agrees on nothing": FOREIGN.keys.sealing | {"x": base64url(bytes(32))},
    "a key that is too short": FOREIGN.keys.sealing | {"x": "AAAA"},
    "nothing": {},
}


@pytest.mark.parametrize("recipient", RECIPIENTS.values(), ids=RECIPIENTS.keys())
def test_nothing_is_sealed_to_what_is_no_sealing_key(recipient: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        seal(parse_credentials(PLAIN), recipient, issuer=HOME.cluster_id, audience=FOREIGN.cluster_id)


OURS = {
    "no address": {"server": ""},
    "an address without TLS": {"server": "http://192.0.2.1"},
    "no token": {"token": ""},
    "a CA that is none": {"ca_pem": "x"},
    "no namespace": {"namespace": ""},
}


@pytest.mark.parametrize("change", OURS.values(), ids=OURS.keys())
def test_credentials_that_nobody_would_take_are_not_sealed(change: dict[str, Any]) -> None:
    good = {"server": GOOD["server"], "ca_pem": certificate(), "token": "x", "namespace": "liqo"}
    with pytest.raises(Invalid) as caught:
        seal(
            Credentials(**good | change),
            FOREIGN.keys.sealing,
            issuer=HOME.cluster_id,
            audience=FOREIGN.cluster_id,
        )
    assert caught.value.reason == "BadCredentials"


def test_what_would_be_too_long_for_the_schema_is_not_sealed() -> None:
    with pytest.raises(Invalid, match=str(SEALED_MAX)):
        seal(
            Credentials(
                server=GOOD["server"],
                ca_pem="# comment\n" * 1_000 + certificate(),
                token="x",
                namespace="liqo",
            ),
            FOREIGN.keys.sealing,
            issuer=HOME.cluster_id,
            audience=FOREIGN.cluster_id,
        )


def test_what_is_longer_than_the_schema_allows_is_not_opened() -> None:
    ca = base64.b64encode(b"# comment\n" * 1_000 + certificate().encode()).decode()
    with pytest.raises(Malformed, match=str(SEALED_MAX)):
        opened(seal_by_hand(json.dumps(GOOD | {"certificate-authority-data": ca}).encode()))


def test_a_usual_kubeconfig_is_far_from_its_bound() -> None:
    usual = Credentials(
        server="https://api.cluster.example:6443",
        ca_pem=certificate() * 2,
        token="a" * 1_000,
        namespace="liqo",
    )
    sealed = seal(usual, FOREIGN.keys.sealing, issuer=HOME.cluster_id, audience=FOREIGN.cluster_id)
    assert len(sealed) < SEALED_MAX / 3


def test_a_digest_names_one_sealed_kubeconfig() -> None:
    assert len(digest(SEALED)) == 43
    assert digest(SEALED) == digest(SEALED) != digest(sealed_good())


def token(payload: object) -> Secret:
    return Secret(f"{base64url(b'{}')}.{base64url(json.dumps(payload).encode())}.{base64url(b'x')}")


EXPIRIES: dict[str, tuple[Secret, datetime | None]] = {
    "a ServiceAccount's token": (token({"exp": 1_800_000_000}), datetime(2027, 1, 15, 8, tzinfo=UTC)),
    "no exp": (token({}), None),
    "exp as a text": (token({"exp": "1800000000"}), None),
    "exp as true": (token({"exp": True}), None),
    "exp as a fraction": (token({"exp": 1.5}), None),
    "exp before all time": (token({"exp": -1}), None),
    "exp after all time": (token({"exp": 2**62}), None),
    "exp beyond any integer": (token({"exp": 10**30}), None),
    "a payload that is a list": (token([1]), None),
    "a payload that is no JSON": (Secret("e30.AAAA.x"), None),
    "a payload that is no base64": (Secret("e30.!!!!.x"), None),
    "an opaque token": (Secret("abcdef.0123456789abcdef"), None),
    "nothing": (Secret(""), None),
    "a token without end": (Secret("e30." + "A" * TOKEN_MAX + ".x"), None),
}


@pytest.mark.parametrize(("given", "expiry"), EXPIRIES.values(), ids=EXPIRIES.keys())
def test_a_token_tells_its_end_or_nothing(given: Secret, expiry: datetime | None) -> None:
    assert token_expiry(given) == expiry


@given(st.text())
def test_whatever_comes_as_a_token_raises_nothing(text: str) -> None:
    token_expiry(Secret(text))
    token_expiry(Secret(f"a.{text}.b"))
