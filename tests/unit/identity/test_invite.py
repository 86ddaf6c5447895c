"""The string that an invite is: it comes back as it went, and nobody's bytes get further."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqo.errors import Malformed
from liqo.identity.canonical import canonical, format_base64url
from liqo.identity.invite import INVITE_MAX, PREFIX, Invite, format_invite, is_invite, parse_invite
from liqo.runtime.secret import Secret

TOKEN = "eyJh.eyJz.c2ln"
INVITE = Invite(
    cluster_id="a" * 32,
    cluster_name="milan",
    namespace="liqo",
    server="https://192.0.2.1:6443",
    door_url="https://192.0.2.1:16443",
    ca="AB:CD",
    token=Secret(TOKEN),
    expires=datetime(2026, 11, 23, 12, tzinfo=UTC),
)
SAID = {
    "v": 1,
    "id": "a" * 32,
    "name": "milan",
    "namespace": "liqo",
    "url": "https://192.0.2.1:6443",
    "ca": "",
    "token": TOKEN,
    "exp": 1_800_000_000,
}


def written(**changes: object) -> str:
    return PREFIX + format_base64url(canonical(SAID | changes))


def test_an_invite_comes_back_as_it_went() -> None:
    assert parse_invite(format_invite(INVITE)) == INVITE


def test_one_that_a_mail_broke_into_lines_is_put_together() -> None:
    text = format_invite(INVITE)
    broken = "\r\n ".join(text[i : i + 60] for i in range(0, len(text), 60)) + "\n"
    assert is_invite(broken)
    assert parse_invite(broken) == INVITE


BAD = {
    "nothing": PREFIX,
    "no base64": PREFIX + "!!!",
    "a list": PREFIX + format_base64url(b"[]"),
    "another version": written(v=2),
    "an address without TLS": written(url="http://192.0.2.1"),
    "an address with a path": written(url="https://192.0.2.1/x"),
    "a token with a newline": written(token="a\nb"),
    "no token": written(token=""),
    "no cluster": written(id="x"),
    "a time that is none": written(exp="soon"),
    "words instead of fingerprints": written(ca="trust me"),
    "too much": PREFIX + "a" * (INVITE_MAX + 1),
    "half of one": format_invite(INVITE)[:-20],
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_invite_is_refused_without_a_part_of_it(case: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse_invite(BAD[case])
    assert TOKEN not in str(caught.value)


@given(st.text(max_size=200))
def test_any_text_is_an_invite_or_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        parse_invite(PREFIX + text)


def test_printing_an_invite_does_not_show_its_token() -> None:
    assert TOKEN not in repr(INVITE)
