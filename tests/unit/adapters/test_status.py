"""What an API server's answer means, and that nothing secret comes with it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqo.adapters.status import MESSAGE_CHARS, clean, make_fault, parse_fault, parse_retry_after
from liqo.errors import (
    Absent,
    Conflict,
    Expired,
    Fault,
    Forbidden,
    Invalid,
    Overloaded,
    Unauthorized,
    Unavailable,
    Unreachable,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2lnbmF0dXJl"
ON_UID = {"details": {"causes": [{"reason": "FieldValueInvalid", "field": "metadata.uid"}]}}
ON_NAME = {"details": {"causes": [{"reason": "FieldValueInvalid", "field": "metadata.name"}]}}


@pytest.mark.parametrize(
    ("code", "status", "fault"),
    [
        (301, None, Unreachable),
        (400, None, Invalid),
        (401, None, Unauthorized),
        (403, None, Forbidden),
        (404, None, Absent),
        (405, None, Invalid),
        (409, None, Conflict),
        (410, None, Expired),
        (413, None, Invalid),
        (415, None, Invalid),
        (422, ON_NAME, Invalid),
        (422, ON_UID, Conflict),
        (422, {"details": 5}, Invalid),
        (422, [], Invalid),
        (429, None, Overloaded),
        (500, None, Unreachable),
        (503, None, Unreachable),
        (999, None, Unreachable),
        (0, None, Unreachable),
    ],
)
def test_a_code_says_what_to_do_next(code: int, status: Any, fault: type[Fault]) -> None:
    assert type(make_fault(code, "m", status)) is fault


def test_the_servers_sentence_is_kept_with_what_was_asked() -> None:
    body = orjson.dumps({"kind": "Status", "message": 'pods "a" not found', "code": 404})
    assert parse_fault(404, body, {}, "get pods", NOW).message == 'get pods: pods "a" not found'


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "get pods: 503 Service Unavailable"),
        (b"Too many requests\n", "get pods: Too many requests "),
        (b"\xff\xfe", "get pods: ��"),
        (b"[]", "get pods: []"),
        (b'{"message": 5}', "get pods: 5"),
    ],
)
def test_an_answer_that_is_no_status_is_read_as_text(body: bytes, said: str) -> None:
    assert parse_fault(503, body, {}, "get pods", NOW).message == said


@pytest.mark.parametrize(
    ("text", "wait"),
    [
        ("3", 3),
        ("0", 0),
        ("99999999999999", 3600),
        ("Thu, 01 Jan 2026 00:00:30 GMT", 30),
        ("Thu, 01 Jan 2026 00:00:30 -0000", 30),
        ("Wed, 31 Dec 2025 23:00:00 GMT", 0),
        ("soon", None),
        ("-5", None),
        ("", None),
        ("²", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, wait: int | None) -> None:
    expected = None if wait is None else timedelta(seconds=wait)
    assert parse_retry_after({"Retry-After": text}, NOW) == expected
    fault = parse_fault(429, b"", {"Retry-After": text}, "x", NOW)
    assert isinstance(fault, Unavailable)
    assert fault.retry_after == expected


@pytest.mark.parametrize(
    "secret",
    [TOKEN, f"{TOKEN}.more.parts", "A" * 200, "-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----"],
    ids=["a signed token", "a sealed one", "base64", "a key"],
)
def test_what_a_server_quotes_is_cut_out_if_it_may_be_a_secret(secret: str) -> None:
    shown = clean(f'spec.kubeConfig: Invalid value: "{secret}": too long')
    assert shown == 'spec.kubeConfig: Invalid value: "***": too long'


def test_names_are_no_secrets() -> None:
    said = (
        'federationrequests.discovery.liqo.io "mzxw6ytboi4dqmrqgezdgnbvgy3tqojq-1f9b2c3d4e5f60718293a4b5c6d7e8f9" '
        "is forbidden: User system:serviceaccount:liqo:peer-mzxw6ytboi4dqmrqgezdgnbvgy3tqojq cannot create"
    )
    assert clean(said) == said


@given(st.text(max_size=20_000))
def test_a_message_is_one_bounded_line(text: str) -> None:
    shown = clean(text)
    assert len(shown) <= MESSAGE_CHARS
    assert shown.isprintable() or not any(ord(c) < 32 or ord(c) == 127 for c in shown)


@given(st.integers(0, 1200), st.binary(max_size=500))
def test_no_answer_breaks_us(code: int, body: bytes) -> None:
    assert isinstance(parse_fault(code, body, {}, "x", NOW), Fault)
