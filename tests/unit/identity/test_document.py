import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqo.errors import Malformed, NotTrusted
from liqo.identity.cluster_id import ClusterID, Identity, new_identity
from liqo.identity.document import (
    DOCUMENT_MAX,
    LEEWAY,
    LIFETIME,
    LIFETIME_MAX,
    TYP,
    forge_document,
    needs_renewal,
    parse_document,
)
from liqo.identity.jws import sign
from liqo.identity.request import forge_proof, new_jti
from strategies import base64url, certificate, ed25519, identities, instants, jws_by_hand, labels, legacy_ids

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
US = new_identity()
THEM = new_identity()
UUID = ClusterID("c7a3e3f0-0000-4000-8000-0123456789ab")
SECOND = timedelta(seconds=1)


def claims(identity: Identity = US, **changes: Any) -> dict[str, Any]:
    iat = int(NOW.timestamp())
    made = {
        "clusterID": identity.cluster_id,
        "clusterName": "milan",
        "namespace": "liqo",
        "jwks": identity.keys.wire(),
        "doorUrl": "",
        "protocols": [1],
        "features": [],
        "iat": iat,
        "exp": iat + 86_400,
    }
    return {k: v for k, v in (made | changes).items() if v is not None}


def header(**changes: Any) -> dict[str, Any]:
    made = {"alg": "EdDSA", "typ": TYP, "kid": US.keys.thumbprint}
    return {k: v for k, v in (made | changes).items() if v is not None}


@given(identities, instants, labels, labels, st.sampled_from(["", "https://door.example:16443"]))
def test_a_document_is_read_as_it_was_written(
    identity: Identity, now: datetime, name: str, namespace: str, door: str
) -> None:
    text = forge_document(
        identity,
        now,
        cluster_id=identity.cluster_id,
        cluster_name=name,
        namespace=namespace,
        door_url=door,
        ca_bundle=certificate(),
        features=["pods"],
    )
    document = parse_document(text, now, expected=identity.cluster_id)
    assert document == parse_document(text, now)
    assert document.cluster_id == identity.cluster_id
    assert (document.cluster_name, document.namespace, document.door_url) == (name, namespace, door)
    assert document.keys == identity.keys
    assert document.ca_bundle == certificate()
    assert (document.protocols, document.features) == ((1,), ("pods",))
    assert (document.iat, document.exp) == (now, now + LIFETIME)
    assert not document.legacy


def test_what_a_later_version_adds_is_left_alone() -> None:
    text = sign(claims(protocols=[1, 2], weather="fine"), US, typ=TYP)
    assert parse_document(text, NOW).protocols == (1, 2)


@given(legacy_ids)
def test_a_legacy_id_is_shown_as_one_that_proves_nothing(uuid: str) -> None:
    text = forge_document(US, NOW, cluster_id=ClusterID(uuid), cluster_name="milan", namespace="liqo")
    assert parse_document(text, NOW, expected=uuid).legacy
    assert parse_document(text, NOW).keys == US.keys


def by_hmac(secret: bytes) -> str:
    text = f"{base64url(json.dumps(header(alg='HS256')).encode())}.{base64url(json.dumps(claims()).encode())}"
    return f"{text}.{base64url(hmac.digest(secret, text.encode(), hashlib.sha256))}"


def by_hand(**changes: Any) -> str:
    """A statement whose signature is good, over a header that is not."""
    return jws_by_hand(header(**changes), claims(), US)


GOOD = sign(claims(), US, typ=TYP)
PUBLIC = US.keys.signing
NO_STATEMENT = {
    "nothing": "",
    "one dot": "a.b",
    "three dots": GOOD + ".AAAA",
    "a JSON serialization": json.dumps({"payload": "e30", "signatures": []}),
    "longer than allowed": GOOD + "A" * DOCUMENT_MAX,
    "padding": GOOD.replace(".", "=.", 1),
    "a newline behind it": GOOD + "\n",
    "a space before it": " " + GOOD,
    "letters outside ASCII": GOOD.replace("e", "е", 1),  # noqa: RUF001  Cyrillic
    "a header that is a list": f"{base64url(b'[]')}.{GOOD.split('.', 1)[1]}",
    "a header that nests without end": f"{base64url(b'[' * 4000)}.{GOOD.split('.', 1)[1]}",
    "a payload that nests without end": jws_by_hand(header(), b'{"a":' + b"[" * 30_000, US),
    "a payload that is no JSON": jws_by_hand(header(), b"<html>", US),
    "a payload that is a list": jws_by_hand(header(), [claims()], US),
    "no signature and alg none": jws_by_hand(header(alg="none"), claims(), None),
    "alg None": jws_by_hand(header(alg="None"), claims(), None),
    "a signature and alg none": by_hand(alg="none"),
    "no alg": by_hand(alg=None),
    "alg as a list": by_hand(alg=["EdDSA"]),
    "HS256 with the public key's bytes as secret": by_hmac(base64.urlsafe_b64decode(PUBLIC["x"] + "=")),
    "HS256 with the public key's text as secret": by_hmac(PUBLIC["x"].encode()),
    "HS256 with the public JWK as secret": by_hmac(json.dumps(PUBLIC).encode()),
    "the newer name of the algorithm": by_hand(alg="Ed25519"),
    "ES256": by_hand(alg="ES256"),
    "no typ": by_hand(typ=None),
    "typ JWT": by_hand(typ="JWT"),
    "the typ of a proof": by_hand(typ="liqo-request+jwt"),
    "typ in another case": by_hand(typ=TYP.upper()),
    "typ with the omitted prefix": by_hand(typ="application/" + TYP),
    "no kid": by_hand(kid=None),
    "kid as a number": by_hand(kid=7),
    "crit, empty": by_hand(crit=[]),
    "crit that names what is known": by_hand(crit=["alg"]),
    "crit and what it names": by_hand(crit=["b64"], b64=True),
    "b64 false": by_hand(b64=False),
    "jku": by_hand(jku="https://attacker.example/keys"),
    "jwk, even the right one": by_hand(jwk=PUBLIC),
    "x5u": by_hand(x5u="https://attacker.example/chain"),
    "x5c": by_hand(x5c=["MIIB"]),
    "x5t": by_hand(x5t="AAAA"),
    "zip": by_hand(zip="DEF"),
    "cty": by_hand(cty="JWT"),
    "something of a stranger's": by_hand(**{"x" * 900: 1}),
}


@pytest.mark.parametrize("text", NO_STATEMENT.values(), ids=NO_STATEMENT.keys())
def test_a_statement_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse_document(text, NOW)
    assert len(caught.value.message) < 300


FOREIGN_KEY = {
    "the signature of another cluster": jws_by_hand(header(), claims(), THEM),
    "the kid of another cluster": by_hand(kid=THEM.keys.thumbprint),
    "a kid that is no key": by_hand(kid="../../etc/passwd"),
    "no signature": GOOD.rsplit(".", 1)[0] + ".",
    "half a signature": GOOD.rsplit(".", 1)[0] + "." + base64url(bytes(32)),
    "a signature of zeros": GOOD.rsplit(".", 1)[0] + "." + base64url(bytes(64)),
    "a longer signature": GOOD + base64url(bytes(3)),
    "the signature of another document": GOOD.rsplit(".", 1)[0]
    + "."
    + base64url(ed25519(US, b"something else")),
}


@pytest.mark.parametrize("text", FOREIGN_KEY.values(), ids=FOREIGN_KEY.keys())
def test_a_signature_that_does_not_fit_its_key_is_refused(text: str) -> None:
    with pytest.raises(NotTrusted) as caught:
        parse_document(text, NOW)
    assert caught.value.reason == "BadSignature"


@given(st.integers(0, len(GOOD) - 1), st.characters(max_codepoint=0x2FF))
def test_no_character_can_be_changed(position: int, character: str) -> None:
    text = GOOD[:position] + character + GOOD[position + 1 :]
    if text != GOOD:
        with pytest.raises((Malformed, NotTrusted)):
            parse_document(text, NOW)


@pytest.mark.parametrize("name", claims())
def test_no_claim_can_be_exchanged_under_the_signature(name: str) -> None:
    other = claims(THEM, clusterName="rome", namespace="other", doorUrl="https://attacker.example", iat=1)
    first, _, last = GOOD.split(".")
    changed = claims() | {
        name: {"protocols": [2], "features": ["x"], "exp": other["exp"] - 9}.get(name, other[name])
    }
    with pytest.raises(NotTrusted) as caught:
        parse_document(f"{first}.{base64url(json.dumps(changed).encode())}.{last}", NOW)
    assert caught.value.reason == "BadSignature"


BAD_CLAIMS: dict[str, dict[str, Any]] = {
    "no id": {"clusterID": None},
    "an id of another form": {"clusterID": "milan"},
    "an id and a newline": {"clusterID": US.cluster_id + "\n"},
    "no keys": {"jwks": None},
    "a private key": {"jwks": {"keys": [US.keys.signing | {"d": "A" * 43}, US.keys.sealing]}},
    "a name that is no label": {"clusterName": "Milan!"},
    "a name that is too long": {"clusterName": "m" * 64},
    "a namespace with a slash": {"namespace": "liqo/../kube-system"},
    "a door without TLS": {"doorUrl": "http://door.example"},
    "a door with a path": {"doorUrl": "https://door.example/x"},
    "no protocol": {"protocols": []},
    "protocols as texts": {"protocols": ["1"]},
    "too many protocols": {"protocols": [1] * 9},
    "too many features": {"features": ["x"] * 17},
    "a feature with a space": {"features": ["a b"]},
    "a CA that is none": {"caBundle": "trust me"},
    "a private key in the CA bundle": {
        "caBundle": certificate() + "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
    },
    "a CA bundle that is too long": {"caBundle": certificate() * 60},
    "no iat": {"iat": None},
    "no exp": {"exp": None},
    "iat as a text": {"iat": str(int(NOW.timestamp()))},
    "iat as a fraction": {"iat": NOW.timestamp() + 0.5},
    "iat as true": {"iat": True},
    "iat before all time": {"iat": -1},
    "exp after all time": {"exp": 2**63},
    "exp before iat": {"exp": int(NOW.timestamp()) - 1},
    "exp at iat": {"exp": int(NOW.timestamp())},
    "a life without end": {"exp": int((NOW + LIFETIME_MAX).timestamp()) + 1},
}


@pytest.mark.parametrize("changes", BAD_CLAIMS.values(), ids=BAD_CLAIMS.keys())
def test_a_signed_document_that_breaks_a_bound_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        parse_document(sign(claims(**changes), US, typ=TYP), NOW)


def impostor() -> str:
    return sign(claims(THEM, clusterID=US.cluster_id), THEM, typ=TYP)


WRONG_ID: dict[str, tuple[str, str | None]] = {
    "another cluster is there": (sign(claims(THEM), THEM, typ=TYP), US.cluster_id),
    "somebody claims our id with his own key": (impostor(), US.cluster_id),
    "somebody claims an id, and none was expected": (impostor(), None),
    "a legacy id where a provable one was expected": (
        sign(claims(THEM, clusterID=UUID), THEM, typ=TYP),
        US.cluster_id,
    ),
    "another legacy id": (
        sign(claims(clusterID=UUID), US, typ=TYP),
        "00000000-0000-4000-8000-0123456789ab",
    ),
}


@pytest.mark.parametrize(("text", "expected"), WRONG_ID.values(), ids=WRONG_ID.keys())
def test_nobody_can_act_under_an_id_whose_key_he_lacks(text: str, expected: str | None) -> None:
    with pytest.raises(NotTrusted) as caught:
        parse_document(text, NOW, expected=expected)
    assert caught.value.reason == "WrongClusterID"


TIMES: dict[str, tuple[timedelta, str]] = {
    "at once": (timedelta(), ""),
    "just before its end": (LIFETIME - SECOND, ""),
    "just after its end, which a clock may be wrong by": (LIFETIME + LEEWAY, ""),
    "long after its end": (LIFETIME + LEEWAY + SECOND, "DocumentExpired"),
    "a year later": (timedelta(days=365), "DocumentExpired"),
    "just before it was signed": (-LEEWAY, ""),
    "long before it was signed": (-LEEWAY - SECOND, "ClockSkew"),
}


@pytest.mark.parametrize(("after", "reason"), TIMES.values(), ids=TIMES.keys())
def test_a_document_is_true_for_its_life_and_a_leeway(after: timedelta, reason: str) -> None:
    if not reason:
        parse_document(GOOD, NOW + after)
        return
    with pytest.raises(NotTrusted) as caught:
        parse_document(GOOD, NOW + after)
    assert caught.value.reason == reason
    assert (NOW + after).strftime("%H:%M:%SZ") in caught.value.message
    assert caught.value.message.count("Z") == 2  # both times are told


def test_the_leeway_is_the_callers_to_choose() -> None:
    with pytest.raises(NotTrusted):
        parse_document(GOOD, NOW - SECOND, leeway=timedelta())


@pytest.mark.parametrize(
    ("after", "due"), [(timedelta(), False), (LIFETIME / 2 - SECOND, False), (LIFETIME / 2, True)]
)
def test_a_document_is_renewed_at_half_of_its_life(after: timedelta, due: bool) -> None:
    assert needs_renewal(parse_document(GOOD, NOW), NOW + after) is due


def proof() -> str:
    spec = {"clusterID": US.cluster_id, "keys": US.keys.wire()}
    return forge_proof(spec, US, audience=THEM.keys.thumbprint, jti=new_jti(), now=NOW)


def test_a_proof_does_not_pass_for_a_document() -> None:
    with pytest.raises(Malformed, match="another typ"):
        parse_document(proof(), NOW)


UNPUBLISHED: dict[str, Callable[[], str]] = {
    "under another key's id": lambda: forge_document(
        US, NOW, cluster_id=THEM.cluster_id, cluster_name="milan", namespace="liqo"
    ),
    "with a private key for a CA": lambda: forge_document(
        US,
        NOW,
        cluster_id=US.cluster_id,
        cluster_name="milan",
        namespace="liqo",
        ca_bundle="-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    ),
    "for a year": lambda: forge_document(
        US,
        NOW,
        cluster_id=US.cluster_id,
        cluster_name="milan",
        namespace="liqo",
        lifetime=timedelta(days=365),
    ),
}


@pytest.mark.parametrize("forge", UNPUBLISHED.values(), ids=UNPUBLISHED.keys())
def test_a_document_that_nobody_would_accept_is_not_made(forge: Callable[[], str]) -> None:
    with pytest.raises((Malformed, NotTrusted)):
        forge()


def test_the_largest_document_is_shorter_than_its_bound() -> None:
    bundle = "".join(certificate(name="n" * 60, serial=s) for s in range(1, 17))
    comment = "# a comment\n" * ((32_768 - len(bundle)) // 12)
    text = forge_document(
        US,
        NOW,
        cluster_id=US.cluster_id,
        cluster_name="m" * 63,
        namespace="n" * 63,
        door_url=f"https://{'d' * 63}.example",
        ca_bundle=comment + bundle,
    )
    assert len(text) <= DOCUMENT_MAX
