"""Which requests an API server may make of a virtual node, and what becomes of them abroad."""

from contextlib import suppress
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqo.errors import Malformed
from liqo.runtime.secret import Secret
from liqo.serve.kubelet_head import (
    HEAD_MAX,
    Ask,
    Verb,
    forge_head,
    parse_answer,
    parse_ask,
    parse_bearer,
    parse_head,
    parse_refusal,
    parse_usage_path,
)

UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: SPDY/3.1",
    "X-Stream-Protocol-Version: v5.channel.k8s.io",
    "X-Stream-Protocol-Version: v4.channel.k8s.io",
)


def raw(method: str, target: str, *fields: str) -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: 192.0.2.1:10250", *fields, "", ""]).encode()


def ask_of(method: str, target: str, *fields: str) -> Ask | None:
    return parse_ask(parse_head(raw(method, target, *fields)))


def abroad(found: Ask | None) -> list[str]:
    assert found is not None
    head = forge_head(found, namespace="shop-abc", host="api:6443", prefix="", token=Secret("t0ken"))
    text = head.decode("ascii")
    assert text.endswith("\r\n\r\n")
    return text.removesuffix("\r\n\r\n").split("\r\n")


@pytest.mark.parametrize(
    ("method", "target", "line"),
    [
        (
            "GET",
            "/containerLogs/shop/web-1/main?follow=true&tailLines=5&timestamps=true",
            "GET /api/v1/namespaces/shop-abc/pods/web-1/log?follow=true&tailLines=5&timestamps=true&container=main",
        ),
        (
            "GET",
            "/containerLogs/shop/web-1/main?sinceTime=2026-11-23T12%3A00%3A00Z&secret=1",
            "GET /api/v1/namespaces/shop-abc/pods/web-1/log?sinceTime=2026-11-23T12%3A00%3A00Z&container=main",
        ),
        (
            "POST",
            "/exec/shop/web-1/main?command=-c&command=a+%26+%3B&tty=1",
            "POST /api/v1/namespaces/shop-abc/pods/web-1/exec?command=-c&command=a%20%26%20%3B&tty=true&container=main",
        ),
        (
            "POST",
            "/attach/shop/web.1/main?input=1&output=1&command=ignored",
            "POST /api/v1/namespaces/shop-abc/pods/web.1/attach?stdin=true&stdout=true&container=main",
        ),
        ("POST", "/portForward/shop/web-1", "POST /api/v1/namespaces/shop-abc/pods/web-1/portforward"),
    ],
)
def test_each_request_is_asked_abroad_in_the_words_of_an_api_server(
    method: str, target: str, line: str
) -> None:
    fields = UPGRADE if method == "POST" else ()
    assert abroad(ask_of(method, target, *fields))[0] == f"{line} HTTP/1.1"


def test_only_our_own_fields_go_abroad() -> None:
    theirs = (
        "Authorization: Bearer theirs",
        "X-Forwarded-For: 10.0.0.1",
        "Accept-Encoding: gzip",
        "Cookie: a=b",
    )
    assert abroad(ask_of("POST", "/exec/shop/web/main?command=true", *UPGRADE, *theirs))[1:] == [
        "Host: api:6443",
        "Authorization: Bearer t0ken",
        "User-Agent: liqo",
        "Accept-Encoding: identity",
        "Connection: Upgrade",
        "Upgrade: SPDY/3.1",
        "Content-Length: 0",
        "X-Stream-Protocol-Version: v5.channel.k8s.io",
        "X-Stream-Protocol-Version: v4.channel.k8s.io",
    ]
    plain = abroad(ask_of("GET", "/containerLogs/shop/web/main", *theirs))
    assert plain[-1] == "Connection: close"


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/pods",
        "/exec/shop/web",
        "/containerLogs/shop/web/main/x",
        "/run/shop/web/main",
        "/exec/shop/web/uid/main",
    ],
)
def test_there_is_no_other_path(target: str) -> None:
    assert ask_of("POST", target, *UPGRADE) is None


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/exec/shop/web/main?command=true"),
        ("POST", "/containerLogs/shop/web/main"),
        ("POST", "/exec/shop/../main"),
        ("POST", "/exec/shop/web%2f..%2fother/main"),
        ("POST", "/exec/Shop/web/main"),
        ("POST", f"/exec/{'n' * 64}/web/main"),
        ("POST", f"/exec/shop/{'p' * 254}/main"),
        ("POST", "/exec/shop//main"),
        ("POST", "/exec/shop/web/main?command"),
        ("POST", "/exec/shop/web/main?" + "command=a&" * 2049),
    ],
)
def test_a_request_that_is_not_one_of_ours_is_malformed(method: str, target: str) -> None:
    with pytest.raises(Malformed):
        ask_of(method, target, *UPGRADE)


@pytest.mark.parametrize(
    "fields",
    [
        (),
        ("Connection: Upgrade", "Upgrade: websocket"),
        ("Connection: keep-alive", "Upgrade: SPDY/3.1"),
        (*UPGRADE, "X-Stream-Protocol-Version: a b"),
    ],
)
def test_an_exec_that_does_not_upgrade_to_spdy_is_malformed(fields: tuple[str, ...]) -> None:
    with pytest.raises(Malformed):
        ask_of("POST", "/exec/shop/web/main?command=true", *fields)


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.0\r\nHost: a\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /#x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: b\nY: c\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n",
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 64 + b"\r\n",
        b"GET /" + b"a" * HEAD_MAX + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"",
    ],
)
def test_a_head_that_could_be_read_in_two_ways_is_malformed(head: bytes) -> None:
    with pytest.raises(Malformed):
        parse_head(head)


@given(st.binary(max_size=200))
def test_bytes_are_a_head_or_malformed(data: bytes) -> None:
    for text in (data, b"GET /" + data, b"POST /exec/a/b/c?" + data + b" HTTP/1.1\r\nHost: a\r\n\r\n"):
        with suppress(Malformed):
            parse_ask(parse_head(text))


@given(st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=8))
def test_a_command_arrives_byte_by_byte(words: list[bytes]) -> None:
    query = urlencode([("command", word) for word in words])
    line = abroad(ask_of("POST", f"/exec/shop/web/main?{query}", *UPGRADE))[0]
    sent = line.split(" ")[1].partition("?")[2]
    pairs = parse_qsl(sent, keep_blank_values=True, errors="surrogateescape")
    assert [v.encode("utf-8", "surrogateescape") for k, v in pairs if k == "command"] == words
    assert all(k in {"command", "container"} for k, _ in pairs)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: SPDY/3.1\r\n\r\n", (101, None)),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 12\r\n\r\n", (403, 12)),
        (b"HTTP/1.1 500\r\nContent-Length: -1\r\n\r\n", (500, None)),
    ],
)
def test_an_answer_tells_its_code_and_length(head: bytes, expected: tuple[int, int | None]) -> None:
    assert parse_answer(head) == expected


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            b'{"kind": "Status", "message": "previous terminated container not found", "code": 400}',
            "previous terminated container not found",
        ),
        (b"a kubelet's own words\n", "a kubelet's own words"),
        (b'{"message": 7}', '{"message": 7}'),
        (b"[1]", "[1]"),
        (b"\xff", "\ufffd"),
        (b"", ""),
    ],
)
def test_a_refusal_is_told_in_its_words(body: bytes, words: str) -> None:
    assert parse_refusal(body) == words


@pytest.mark.parametrize("head", [b"\r\n\r\n", b"SSH-2.0\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n"])
def test_what_is_no_answer_is_malformed(head: bytes) -> None:
    with pytest.raises(Malformed):
        parse_answer(head)


def test_logs_are_the_only_thing_that_stays_http() -> None:
    assert [v for v in Verb if not Ask(v, "", "", "", (), ()).upgrades] == [Verb.LOGS]


@pytest.mark.parametrize(
    ("target", "node"),
    [
        ("/metrics/resource/liqo-milan-abcdef", "liqo-milan-abcdef"),
        ("/metrics/resource/a.b?x=y", "a.b"),
        ("/metrics/resource", None),
        ("/metrics/cadvisor", None),
        ("/containerLogs/shop/web-1/main", None),
    ],
)
def test_usage_is_asked_for_by_the_name_of_a_node(target: str, node: str | None) -> None:
    assert parse_usage_path(parse_head(raw("GET", target))) == node


@pytest.mark.parametrize(
    ("method", "node"), [("GET", ""), ("GET", "a/b"), ("GET", "%61"), ("GET", "a" * 254), ("POST", "a")]
)
def test_what_is_no_node_has_no_usage(method: str, node: str) -> None:
    with pytest.raises(Malformed):
        parse_usage_path(parse_head(raw(method, f"/metrics/resource/{node}")))


@pytest.mark.parametrize(
    ("fields", "token"),
    [
        ((), None),
        (("Authorization: Bearer a.b-c_d~e+f/g==",), "a.b-c_d~e+f/g=="),
        (("authorization: bearer abc",), "abc"),
        (("Authorization: Basic abc",), None),
        (("Authorization: Bearer",), None),
        (("Authorization: Bearer a b",), None),
        (("Authorization: Bearer a,Bearer b",), None),
    ],
)
def test_a_token_is_one_word(fields: tuple[str, ...], token: str | None) -> None:
    found = parse_bearer(parse_head(raw("GET", "/metrics/resource/n", *fields)))
    assert (found.reveal() if found is not None else None) == token


def test_two_tokens_are_none() -> None:
    with pytest.raises(Malformed, match="twice"):
        parse_head(raw("GET", "/metrics/resource/n", "Authorization: Bearer a", "Authorization: Bearer b"))
