"""Tokens and private keys are never, in clear, in a repr, a text or an error."""

import json
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from liqo.errors import Fault
from liqo.identity.cluster_id import format_identity, new_identity, parse_identity
from liqo.identity.document import forge_document
from liqo.identity.keys import Keys
from liqo.identity.kubeconfig import (
    Credentials,
    format_credentials,
    parse_credentials,
    seal,
    token_expiry,
    unseal,
)
from liqo.identity.request import forge_proof, new_jti
from liqo.runtime.secret import Secret
from strategies import certificate

MARK = "MARKED-token_that.nobody-may-see"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
US = new_identity()
THEM = new_identity()
PRIVATE = [orjson.loads(jwk)["d"] for jwk in format_identity(US).values()]
CREDENTIALS = Credentials(
    server="https://192.0.2.1:6443", ca_pem=certificate(), token=Secret(MARK), namespace="liqo"
)
CLEAR = format_credentials(CREDENTIALS)
WIRE = json.loads(CLEAR)


def shown(thing: object) -> str:
    """Everything that a log, a status or a person may get to see of something."""
    texts = [repr(thing), str(thing), f"{thing}", f"{thing!r}", repr([thing]), str({"x": thing})]
    if isinstance(thing, BaseException):
        texts += traceback.format_exception(thing)
        texts += [repr(thing.args), repr(vars(thing)), repr(thing.__cause__), repr(thing.__context__)]
        texts += [repr(vars(thing.__context__))] if thing.__context__ is not None else []
    return "\n".join(texts)


def assert_hidden(thing: object) -> None:
    seen = shown(thing)
    for secret in (MARK, *PRIVATE):
        assert secret[:8] not in seen
        assert secret[-8:] not in seen


def test_what_holds_secrets_does_not_show_them() -> None:
    sealed = seal(CREDENTIALS, US.keys.sealing, issuer=THEM.cluster_id, audience=US.cluster_id)
    spec = {"clusterID": US.cluster_id, "keys": US.keys.wire(), "kubeConfig": sealed}
    proof = forge_proof(spec, US, audience=THEM.keys.thumbprint, jti=new_jti(), now=NOW)
    document = forge_document(US, NOW, cluster_id=US.cluster_id, cluster_name="milan", namespace="liqo")
    for thing in (CREDENTIALS, US, US.keys, US.signing_key, *US.sealing_keys, sealed, proof, document):
        assert_hidden(thing)


def test_the_clear_text_has_the_mark_so_that_these_tests_mean_something() -> None:
    assert MARK.encode() in CLEAR
    assert CREDENTIALS.token.reveal() == MARK
    assert all(secret in "".join(format_identity(US).values()) for secret in PRIVATE)


def test_credentials_are_not_written_by_accident() -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011  pydantic's own
        CREDENTIALS.model_dump_json()
    assert_hidden(caught.value)
    assert_hidden(CREDENTIALS.model_dump())


def refused(change: dict[str, Any]) -> Callable[[], object]:
    return lambda: parse_credentials(json.dumps(WIRE | change).encode())


def sealed_and_spoilt() -> object:
    sealed = seal(CREDENTIALS, US.keys.sealing, issuer=THEM.cluster_id, audience=US.cluster_id)
    return unseal(sealed[:-3] + "AAA", US, issuer=THEM.cluster_id, audience=US.cluster_id)


def ours(change: dict[str, Any]) -> Callable[[], object]:
    bad = CREDENTIALS.model_copy(update=change)
    return lambda: seal(bad, THEM.keys.sealing, issuer=US.cluster_id, audience=THEM.cluster_id)


FAILURES: dict[str, Callable[[], object]] = {
    "the token itself is wrong": refused({"token": MARK + "\n"}),
    "the token is too long": refused({"token": MARK * 999}),
    "the token is in a list": refused({"token": [MARK]}),
    "the token is in the URL": refused({"server": f"https://{MARK}@192.0.2.1"}),
    "the token is a key": refused({MARK: "x"}),
    "the token is the namespace": refused({"namespace": MARK}),
    "the token is a certificate": refused({"certificate-authority-data": MARK}),
    "the JSON ends early": lambda: parse_credentials(CLEAR[:-1]),
    "the JSON is a text": lambda: parse_credentials(json.dumps(MARK).encode()),
    "the server is wrong": refused({"server": "http://192.0.2.1"}),
    "something is more": refused({"exec": {}}),
    "the seal is broken": sealed_and_spoilt,
    "our own server is wrong": ours({"server": "x"}),
    "our own CA is wrong": ours({"ca_pem": "x"}),
    "our own token is wrong": ours({"token": Secret(MARK + " ")}),
    "our own CA is too long": ours({"ca_pem": "#" * 30_000 + "\n" + certificate()}),
    "a private key in a key set": lambda: Keys.parse(
        {"keys": [json.loads(format_identity(US)["identity.jwk"]), US.keys.sealing]}
    ),
    "a private key to seal to": lambda: seal(
        CREDENTIALS, json.loads(format_identity(US)["sealing.jwk"]), issuer="", audience=""
    ),
    "a private key of another curve": lambda: parse_identity(
        {
            "identity.jwk": format_identity(US)["sealing.jwk"],
            "sealing.jwk": format_identity(US)["sealing.jwk"],
        }
    ),
    "a private key with more behind it": lambda: parse_identity(
        {k: v[:-1] + ',"x":"AAAA"}' for k, v in format_identity(US).items()}
    ),
    "a private key that ends early": lambda: parse_identity(
        {k: v[:-1] for k, v in format_identity(US).items()}
    ),
}


@pytest.mark.parametrize("fail", FAILURES.values(), ids=FAILURES.keys())
def test_no_error_shows_a_secret(fail: Callable[[], object]) -> None:
    with pytest.raises(Fault) as caught:
        fail()
    assert_hidden(caught.value)


def test_an_unfit_type_for_a_token_is_our_own_mistake_and_shows_nothing() -> None:
    with pytest.raises(ValueError, match="token") as caught:
        Credentials(server="s", ca_pem="", token=[MARK], namespace="n")
    assert_hidden(caught.value)
    with pytest.raises(ValueError, match="more") as caught:
        Credentials(server="s", ca_pem="", token=MARK, namespace="n", more=MARK)  # type: ignore[call-arg]
    assert_hidden(caught.value)


def test_a_token_without_an_end_shows_nothing() -> None:
    assert token_expiry(Secret(f"a.{MARK}.b")) is None
