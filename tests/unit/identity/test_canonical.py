import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqo.errors import Malformed
from liqo.identity.canonical import canonical, format_base64url, parse_base64url, parse_object, sha256
from strategies import json_values


@given(json_values)
def test_canonical_json_is_json(value: Any) -> None:
    assert json.loads(canonical(value)) == value


@given(st.dictionaries(st.text(), json_values, max_size=6))
def test_the_order_of_keys_makes_no_difference(value: dict[str, Any]) -> None:
    assert canonical(dict(reversed(value.items()))) == canonical(value)


def test_canonical_json_has_sorted_keys_and_no_spaces() -> None:
    assert canonical({"b": [1, True], "a": {"d": None, "c": "é\n"}}) == (
        '{"a":{"c":"é\\n","d":null},"b":[1,true]}'.encode()
    )


@pytest.mark.parametrize("value", [2**64, "\ud800", {1: 2}, {1, 2}])
def test_what_has_no_canonical_form_is_refused(value: Any) -> None:
    with pytest.raises(Malformed):
        canonical(value)


def test_a_value_that_nests_too_deep_is_refused() -> None:
    value: list[Any] = []
    for _ in range(5_000):
        value = [value]
    with pytest.raises(Malformed):
        canonical(value)


@given(st.binary())
def test_base64url_is_read_as_it_was_written(raw: bytes) -> None:
    assert parse_base64url(format_base64url(raw), "it") == raw


@pytest.mark.parametrize(
    "text", ["A", "AB", "AA==", "+/8A", "A A A", "AAAA\n", "é", "AAA\x00", "=", "AAA=AAAA"]
)
def test_base64url_has_one_spelling_only(text: str) -> None:
    with pytest.raises(Malformed, match="it is not base64url"):
        parse_base64url(text, "it")


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"null", b"1", b'"{}"', b"{", b"{}{}", b"\xff{}", b"{'a':1}", b'{"a":NaN}', b"[" * 9999],
)
def test_whatever_is_no_json_object_is_refused(raw: bytes) -> None:
    with pytest.raises(Malformed, match="it is not a JSON object"):
        parse_object(raw, "it")


def test_sha256_is_43_characters_of_base64url() -> None:
    assert sha256(b"") == "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
