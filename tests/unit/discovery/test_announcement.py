"""The URLs in a TXT record: whatever they say, it can be connected to and printed."""

import pytest

from liqo.api.reasons import Reason
from liqo.discovery.announcement import parse_announcement
from liqo.errors import Malformed

WHOLE = [b"id=" + b"a" * 32, b"namespace=liqo"]


@pytest.mark.parametrize(
    ("said", "url"),
    [
        (b"https://rome.example:6443", "https://rome.example:6443"),
        (b"https://rome.example/", "https://rome.example"),
        (b"https://10.0.0.1:16443", "https://10.0.0.1:16443"),
        (b"https://[fd00::1]:6443", "https://[fd00::1]:6443"),
        (b"", ""),
    ],
)
def test_a_url_is_a_host_and_perhaps_a_port(said: bytes, url: str) -> None:
    found = parse_announcement([*WHOLE, b"url=" + said, b"door=" + said])
    assert (found.url, found.door_url) == (url, url)


@pytest.mark.parametrize("key", [b"url", b"door"])
@pytest.mark.parametrize(
    "said",
    [
        b"http://rome.example",
        b"https://rome.example/path",
        b"https://rome.example//",
        b"https://user@rome.example",
        b"https://rome.example:0",
        b"https://rome.example:65536",
        b"https://127.1",
        b"https://rome.example\x1b[2J",
        b"https://rome.example:\xca\xd343",
        b"https://r\xc3\xb6m.example",
        b"https://rome.example\n",
        b"https://" + b"a" * 240,
    ],
)
def test_anything_else_is_a_bad_url_and_is_told_in_clean_words(key: bytes, said: bytes) -> None:
    with pytest.raises(Malformed) as caught:
        parse_announcement([*WHOLE, key + b"=" + said])
    assert caught.value.reason == Reason.BAD_URL
    assert caught.value.message.isascii()
    assert caught.value.message.isprintable()
