import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqo.api.bounds import PROOF_MAX
from liqo.api.federation_request import FederationRequest
from liqo.errors import Malformed, NotTrusted
from liqo.identity.cluster_id import ClusterID, Identity, new_identity, rotate_sealing
from liqo.identity.document import forge_document
from liqo.identity.jws import sign
from liqo.identity.request import (
    LEEWAY,
    LIFETIME,
    SPEC_MAX,
    TYP,
    digest_spec,
    forge_proof,
    new_jti,
    verify_proof,
)
from strategies import identities, instants, json_values, jws_by_hand, labels, legacy_ids

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOME = new_identity()
FOREIGN = new_identity()
MALLORY = new_identity()
UUID = "c7a3e3f0-0000-4000-8000-0123456789ab"
SECOND = timedelta(seconds=1)
JTI = new_jti()


def asked(identity: Identity = HOME, **changes: Any) -> dict[str, Any]:
    """The spec of a request, without a proof."""
    return {
        "protocol": 1,
        "clusterID": identity.cluster_id,
        "clusterName": "milan",
        "namespace": "liqo",
        "keys": identity.keys.wire(),
        "kubeConfig": "sealed",
    } | changes


def signed(
    spec: dict[str, Any], identity: Identity = HOME, jti: str = JTI, now: datetime = NOW
) -> dict[str, Any]:
    return spec | {"proof": forge_proof(spec, identity, audience=FOREIGN.keys.thumbprint, jti=jti, now=now)}


def with_claims(identity: Identity = HOME, typ: str = TYP, **changes: Any) -> dict[str, Any]:
    """A spec whose proof is signed well and says something else."""
    spec = asked(identity)
    iat = int(NOW.timestamp())
    made = {
        "iss": identity.cluster_id,
        "aud": FOREIGN.keys.thumbprint,
        "jti": JTI,
        "iat": iat,
        "exp": iat + 300,
        "digest": digest_spec(spec),
    }
    return spec | {
        "proof": sign({k: v for k, v in (made | changes).items() if v is not None}, identity, typ=typ)
    }


def verify(spec: dict[str, Any], name: str = "", now: datetime = NOW) -> Any:
    return verify_proof(
        spec, now, audience=FOREIGN.keys.thumbprint, name=name or f"{spec.get('clusterID')}-{JTI}"
    )


def reason(spec: dict[str, Any], name: str = "", now: datetime = NOW) -> str:
    with pytest.raises(NotTrusted) as caught:
        verify(spec, name, now)
    return caught.value.reason


@given(identities, identities, instants, labels, st.booleans())
def test_a_proof_is_good_for_what_it_was_made(
    home: Identity, foreign: Identity, now: datetime, label: str, withdraw: bool
) -> None:
    jti = new_jti()
    spec = asked(home, clusterName=label, **({"withdraw": True} if withdraw else {}))
    spec["proof"] = forge_proof(spec, home, audience=foreign.keys.thumbprint, jti=jti, now=now)
    proof = verify_proof(
        json.loads(json.dumps(dict(reversed(spec.items())))),
        now,
        audience=foreign.keys.thumbprint,
        name=f"{home.cluster_id}-{jti}",
    )
    assert (proof.cluster_id, proof.jti, proof.iat) == (home.cluster_id, jti, now)
    assert proof.thumbprint == home.keys.thumbprint
    assert not proof.legacy


@given(legacy_ids)
def test_the_proof_of_a_legacy_id_proves_its_key_only(uuid: str) -> None:
    proof = verify(signed(asked(clusterID=uuid)))
    assert proof.legacy
    assert proof.cluster_id == uuid
    assert proof.thumbprint == HOME.keys.thumbprint


def test_a_request_survives_the_schema_with_its_digest() -> None:
    spec = signed(asked())
    wire = {"metadata": {"name": f"{HOME.cluster_id}-{JTI}"}, "spec": spec}
    assert verify(FederationRequest.parse(wire).wire()["spec"]).cluster_id == HOME.cluster_id


def test_a_jti_makes_a_name_that_kubernetes_takes() -> None:
    for cluster_id in (HOME.cluster_id, UUID):
        name = f"{cluster_id}-{new_jti()}"
        assert len(name) <= 63
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name)
    assert len({new_jti() for _ in range(100)}) == 100


def test_a_proof_is_short() -> None:
    assert len(signed(asked(clusterID=UUID))["proof"]) < PROOF_MAX / 3


@pytest.mark.parametrize("proof", [None, ""])
def test_a_request_without_a_proof_is_refused(proof: str | None) -> None:
    assert reason(asked() | ({} if proof is None else {"proof": proof})) == "ProofMissing"
    assert reason(asked(proof=7)) == "ProofMissing"


CHANGES: dict[str, Any] = {
    "protocol": 2,
    "clusterName": "rome",
    "namespace": "kube-system",
    "kubeConfig": "another",
    "withdraw": True,
    "later": "a field of a later version",
}


@pytest.mark.parametrize("name", CHANGES)
def test_no_field_can_be_exchanged(name: str) -> None:
    assert reason(signed(asked()) | {name: CHANGES[name]}) == "DigestMismatch"


@pytest.mark.parametrize("name", ["protocol", "clusterName", "namespace", "kubeConfig"])
def test_no_field_can_be_left_out(name: str) -> None:
    spec = signed(asked())
    del spec[name]
    assert reason(spec) == "DigestMismatch"


def test_no_other_key_to_seal_to_can_be_slipped_in() -> None:
    keys = [HOME.keys.signing, MALLORY.keys.sealing]
    assert reason(signed(asked()) | {"keys": {"keys": keys}}) == "DigestMismatch"


NOT_THE_KEY: dict[str, tuple[dict[str, Any], str]] = {
    "somebody signs another's id with his own key": (
        signed(asked(MALLORY, clusterID=HOME.cluster_id), MALLORY),
        "WrongClusterID",
    ),
    "somebody signs another's keys with his own key": (signed(asked(), MALLORY), "BadSignature"),
    "somebody puts his keys into another's request": (
        signed(asked()) | {"keys": MALLORY.keys.wire()},
        "BadSignature",
    ),
    "somebody puts another's id over his request": (
        signed(asked(MALLORY), MALLORY) | {"clusterID": HOME.cluster_id},
        "WrongClusterID",
    ),
    "the issuer is not the cluster that asks": (with_claims(iss=UUID), "WrongClusterID"),
    "a request for another cluster": (with_claims(aud=MALLORY.keys.thumbprint), "WrongAudience"),
    "a request for its own sender": (with_claims(aud=HOME.keys.thumbprint), "WrongAudience"),
    "a request for a ClusterID instead of a key": (with_claims(aud=FOREIGN.cluster_id), "WrongAudience"),
    "a digest of something else": (with_claims(digest=digest_spec({})), "DigestMismatch"),
    "another jti than in the name": (with_claims(jti=new_jti()), "NameMismatch"),
}


@pytest.mark.parametrize(("spec", "why"), NOT_THE_KEY.values(), ids=NOT_THE_KEY.keys())
def test_a_proof_of_something_else_is_refused(spec: dict[str, Any], why: str) -> None:
    assert reason(spec) == why


BAD_NAMES = {
    "another jti": f"{HOME.cluster_id}-{new_jti()}",
    "another cluster": f"{MALLORY.cluster_id}-{JTI}",
    "more behind it": f"{HOME.cluster_id}-{JTI}-2",
    "more before it": f"x{HOME.cluster_id}-{JTI}",
    "no jti": HOME.cluster_id,
    "upper case": f"{HOME.cluster_id}-{JTI}".upper(),
}


@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES.keys())
def test_a_copy_under_another_name_is_refused(name: str) -> None:
    assert reason(signed(asked()), name) == "NameMismatch"


TIMES: dict[str, tuple[timedelta, str]] = {
    "at once": (timedelta(), ""),
    "at its end": (LIFETIME, ""),
    "within the leeway": (LIFETIME + LEEWAY, ""),
    "later": (LIFETIME + LEEWAY + SECOND, "ProofExpired"),
    "a moment before it was signed": (-LEEWAY, ""),
    "long before it was signed": (-LEEWAY - SECOND, "ClockSkew"),
}


@pytest.mark.parametrize(("after", "why"), TIMES.values(), ids=TIMES.keys())
def test_a_proof_is_good_for_five_minutes(after: timedelta, why: str) -> None:
    spec = signed(asked())
    if why:
        assert reason(spec, now=NOW + after) == why
    else:
        verify(spec, now=NOW + after)


IAT = int(NOW.timestamp())
MALFORMED: dict[str, dict[str, Any]] = {
    "no id": signed(asked()) | {"clusterID": None},
    "an id of another form": signed(asked()) | {"clusterID": "milan"},
    "an id in upper case": signed(asked()) | {"clusterID": HOME.cluster_id.upper()},
    "no keys": {k: v for k, v in signed(asked()).items() if k != "keys"},
    "keys as a list": signed(asked()) | {"keys": []},
    "a private key": signed(asked()) | {"keys": {"keys": [HOME.keys.signing | {"d": ""}, HOME.keys.sealing]}},
    "a proof that is none": asked(proof="proof"),
    "a proof that is too long": asked(proof="a" * (PROOF_MAX + 1)),
    "a life of more than five minutes": with_claims(exp=IAT + 301),
    "an end before its beginning": with_claims(exp=IAT - 1),
    "an end at its beginning": with_claims(exp=IAT),
    "no iat": with_claims(iat=None),
    "no exp": with_claims(exp=None),
    "no jti": with_claims(jti=None),
    "no aud": with_claims(aud=None),
    "no iss": with_claims(iss=None),
    "no digest": with_claims(digest=None),
    "a list of audiences": with_claims(aud=[FOREIGN.keys.thumbprint]),
    "a jti that is no name": with_claims(jti="../../../../x.yz"),
    "a jti of another length": with_claims(jti="a" * 17),
    "the typ of a document": with_claims(typ="liqo-document+jwt"),
    "typ JWT": with_claims(typ="JWT"),
    "alg none": asked(proof=jws_by_hand({"alg": "none", "typ": TYP, "kid": HOME.keys.thumbprint}, {}, None)),
    "a key in its header": asked(
        proof=jws_by_hand(
            {"alg": "EdDSA", "typ": TYP, "kid": MALLORY.keys.thumbprint, "jwk": MALLORY.keys.signing},
            {},
            MALLORY,
        )
    ),
    "a spec that is too long": signed(asked()) | {"kubeConfig": "A" * SPEC_MAX},
    "a spec with an integer over 64 bits": signed(asked()) | {"protocol": 2**70},
}


@pytest.mark.parametrize("spec", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_request_whose_bytes_are_wrong_is_refused(spec: dict[str, Any]) -> None:
    with pytest.raises(Malformed) as caught:
        verify(spec)
    assert len(caught.value.message) < 600


def test_a_document_does_not_pass_for_a_proof() -> None:
    document = forge_document(
        HOME, NOW, cluster_id=ClusterID(HOME.cluster_id), cluster_name="milan", namespace="liqo"
    )
    with pytest.raises(Malformed, match="another typ"):
        verify(asked(proof=document))


def test_a_spec_that_is_too_long_is_not_signed() -> None:
    with pytest.raises(Malformed):
        signed(asked(kubeConfig="A" * SPEC_MAX))


def test_a_new_sealing_key_signs_as_the_same_cluster() -> None:
    later = rotate_sealing(HOME)
    assert verify(signed(asked(later), later)).cluster_id == HOME.cluster_id


@given(st.dictionaries(st.sampled_from([*asked(), "proof", "x"]), json_values))
def test_whatever_comes_as_a_request_is_refused_in_order(wire: dict[str, Any]) -> None:
    with pytest.raises((Malformed, NotTrusted)):
        verify(wire)


@given(st.data())
def test_no_character_of_a_proof_can_be_changed(data: st.DataObject) -> None:
    spec = signed(asked())
    at = data.draw(st.integers(0, len(spec["proof"]) - 1))
    other = data.draw(st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."))
    proof = spec["proof"][:at] + other + spec["proof"][at + 1 :]
    if proof != spec["proof"]:
        with pytest.raises((Malformed, NotTrusted)):
            verify(spec | {"proof": proof})
