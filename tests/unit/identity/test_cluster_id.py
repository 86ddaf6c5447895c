import base64
import copy
import pickle
from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given

from liqo.api.federation_request import Jwks
from liqo.errors import Malformed
from liqo.identity.cluster_id import (
    Form,
    Identity,
    check_id,
    cluster_id_of,
    format_identity,
    is_cluster_id,
    is_legacy_id,
    new_identity,
    parse_identity,
    rotate_sealing,
)
from liqo.identity.keys import Keys, thumbprint
from strategies import cluster_ids, identities, json_values, legacy_ids

RFC_8037_A = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
LOW_ORDER = [
    bytes(32),
    (1).to_bytes(32, "little"),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    (2**255 - 20).to_bytes(32, "little"),
    (2**255 - 19).to_bytes(32, "little"),
]


def test_the_thumbprint_is_that_of_rfc_8037_a_3() -> None:
    assert thumbprint(RFC_8037_A) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_the_id_is_the_first_160_bits_of_the_thumbprint_in_base32() -> None:
    digest = base64.urlsafe_b64decode("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k=")
    assert base64.b32encode(digest[:20]).decode().lower() == "sd5mv7vjwfkwngcub5ymael2elvdppk4"
    assert cluster_id_of(RFC_8037_A) == "sd5mv7vjwfkwngcub5ymael2elvdppk4"
    assert cluster_id_of({**RFC_8037_A, "use": "sig"}) == "sd5mv7vjwfkwngcub5ymael2elvdppk4"


@given(identities)
def test_every_identity_has_an_id_of_our_form(identity: Identity) -> None:
    assert is_cluster_id(identity.cluster_id)
    assert len(identity.cluster_id) == 32


def test_no_two_identities_are_alike() -> None:
    assert len({new_identity().cluster_id for _ in range(50)}) == 50


@given(cluster_ids, legacy_ids)
def test_the_form_of_an_id_tells_what_it_can_prove(provable: str, legacy: str) -> None:
    assert check_id(provable) is Form.PROVABLE
    assert check_id(legacy) is Form.LEGACY
    assert not is_legacy_id(provable)
    assert not is_cluster_id(legacy)


BAD_IDS = {
    "nothing": "",
    "one character short": "a" * 31,
    "one character long": "a" * 33,
    "upper case": "A" * 32,
    "digits that base32 has not": "a" * 31 + "1",
    "a newline behind it": "a" * 32 + "\n",
    "a dash in it": "a" * 16 + "-" + "a" * 15,
    "letters that only look the same": "а" * 32,  # noqa: RUF001  Cyrillic
    "a UUID in upper case": "C7A3E3F0-0000-4000-8000-0123456789AB",
    "a UUID in braces": "{c7a3e3f0-0000-4000-8000-0123456789ab}",
    "a UUID without dashes": "c7a3e3f0000040008000" + "0123456789ab",
    "a UUID and a newline": "c7a3e3f0-0000-4000-8000-0123456789ab\n",
    "a path": "../../etc/passwd",
}


@pytest.mark.parametrize("text", BAD_IDS.values(), ids=BAD_IDS.keys())
def test_any_other_form_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        check_id(text)


@pytest.mark.parametrize(
    "jwk",
    [
        {},
        {"kty": "OKP", "crv": "Ed25519"},
        {**RFC_8037_A, "crv": "X25519"},
        {**RFC_8037_A, "kty": "EC"},
        {**RFC_8037_A, "x": RFC_8037_A["x"] + "="},
        {**RFC_8037_A, "x": RFC_8037_A["x"][:-1]},
        {**RFC_8037_A, "x": RFC_8037_A["x"][:-1] + "p"},  # same bytes, another spelling
        {**RFC_8037_A, "x": 7},
    ],
)
def test_a_key_of_another_form_has_no_id(jwk: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        cluster_id_of(jwk)


@given(identities)
def test_an_identity_is_read_as_it_was_written(identity: Identity) -> None:
    assert parse_identity(format_identity(identity)) == identity


@given(identities)
def test_an_identity_is_read_from_a_secrets_base64(identity: Identity) -> None:
    data = {k: base64.b64encode(v.encode()).decode() for k, v in format_identity(identity).items()}
    assert parse_identity(data) == identity


def test_a_new_sealing_key_is_the_same_cluster_and_keeps_one_older_key() -> None:
    first = new_identity()
    second = rotate_sealing(first)
    third = rotate_sealing(second)
    assert first.cluster_id == second.cluster_id == third.cluster_id
    assert second.keys.sealing != first.keys.sealing
    assert [k.x for k in third.keys.keys[1:]] == [third.keys.sealing["x"], second.keys.sealing["x"]]


def broken(change: Mapping[str, Any], entry: str = "identity.jwk") -> dict[str, str]:
    data = format_identity(new_identity())
    jwk = {k: v for k, v in (orjson.loads(data[entry]) | change).items() if v is not None}
    return {**data, entry: orjson.dumps(jwk).decode()}


BROKEN = {
    "no entry": {},
    "no sealing key": {"identity.jwk": format_identity(new_identity())["identity.jwk"]},
    "the public half of another key": broken({"x": RFC_8037_A["x"]}),
    "no private half": broken({"d": None}),
    "a private half that is too short": broken({"d": "AAAA"}),
    "a private half that is no text": broken({"d": [1]}),
    "another curve": broken({"crv": "X25519"}),
    "a signing key to seal to": broken({"crv": "Ed25519"}, "sealing.jwk"),
    "no key at all": {**format_identity(new_identity()), "identity.jwk": "!!"},
    "too long": {**format_identity(new_identity()), "identity.jwk": "{" + " " * 9_999 + "}"},
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_secret_is_named_but_not_shown(data: dict[str, str | bytes]) -> None:
    with pytest.raises(Malformed, match=r"\.jwk") as caught:
        parse_identity(data)
    for value in data.values():
        private = orjson.loads(value).get("d") if value[0] == "{" else None
        assert not isinstance(private, str) or private not in repr(caught.value) + str(caught.value)


def test_an_identity_shows_its_id_and_nothing_else() -> None:
    identity = new_identity()
    assert repr(identity) == str(identity) == f"{identity}" == f"Identity({identity.cluster_id})"


@pytest.mark.parametrize("write", [pickle.dumps, copy.copy, copy.deepcopy])
def test_an_identity_is_not_written_anywhere_by_accident(write: Any) -> None:
    with pytest.raises(TypeError):
        write(new_identity())


@given(identities)
def test_public_keys_are_read_as_they_were_written(identity: Identity) -> None:
    wire = identity.keys.wire()
    assert Keys.parse(wire) == identity.keys
    assert "d" not in orjson.dumps(wire).decode().replace("kid", "").replace("Ed25519", "").split('"')
    assert Jwks.parse(wire).wire() == wire  # nothing is lost in the schema, so the digest stays


def keys_with(*changes: Mapping[str, Any] | None, more: int = 0) -> dict[str, Any]:
    keys = new_identity().keys.wire()["keys"]
    changed = [k | c for k, c in zip(keys, changes, strict=False) if c is not None] + keys[len(changes) :]
    return {"keys": changed + [new_identity().keys.sealing for _ in range(more)]}


TWICE = new_identity().keys
BAD_KEYS: dict[str, Any] = {
    "no set": [],
    "none": {"keys": []},
    "nothing": None,
    "no key to seal to": keys_with({}, None),
    "no key to sign": keys_with(None),
    "two keys to sign": {"keys": [*keys_with()["keys"], new_identity().keys.signing]},
    "three keys to seal to": keys_with(more=2),
    "the same key twice": {"keys": [TWICE.signing, TWICE.sealing, TWICE.sealing]},
    "a private signing key": keys_with({"d": "A" * 43}),
    "a private sealing key": keys_with({}, {"d": "A" * 43}),
    "an empty private member": keys_with({"d": ""}),
    "another key type": keys_with({"kty": "oct"}),
    "another curve": keys_with({"crv": "Ed448"}),
    "an Ed25519 key to seal to": keys_with({"use": "enc"}),
    "no use": keys_with({"use": ""}),
    "a kid that is not the thumbprint": keys_with({"kid": "k" * 43}),
    "a key that is too short": keys_with({"x": "AAAA"}),
    "a key that is too long": keys_with({"x": "A" * 44}),
    "another spelling": keys_with({"x": RFC_8037_A["x"][:-1] + "p", "kid": ""}),
    **{
        f"the low order point {i}": keys_with(
            {}, {"x": base64.urlsafe_b64encode(point).decode().rstrip("="), "kid": ""}
        )
        for i, point in enumerate(LOW_ORDER)
    },
}


@pytest.mark.parametrize("wire", BAD_KEYS.values(), ids=BAD_KEYS.keys())
def test_a_key_set_of_another_form_is_refused(wire: Any) -> None:
    with pytest.raises(Malformed):
        Keys.parse(wire)


def test_a_key_without_kid_and_with_members_of_a_later_version_is_taken() -> None:
    keys = Keys.parse(keys_with({"kid": "", "alg": "EdDSA", "exp": 7}))
    assert set(keys.signing) == {"kty", "crv", "x", "use", "kid"}


@given(json_values)
def test_whatever_comes_as_a_key_set_is_refused_in_order(wire: Any) -> None:
    with pytest.raises(Malformed):
        Keys.parse(wire)
