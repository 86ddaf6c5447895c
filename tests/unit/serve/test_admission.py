"""What the webhook answers, and that a stranger learns nothing from it."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from liqo.api.meta import Wire
from liqo.serve.admission import HELD, PATH, REVIEW_MAX, Judge, Ruling, admission_app, answer
from manual_clock import ManualClock, settle


def review(resource: str = "federationrequests", **metadata: Any) -> Wire:
    return {
        "request": {
            "uid": "u1",
            "name": "n1",
            "resource": {"resource": resource},
            "object": {"metadata": metadata, "spec": {}},
        }
    }


def deny(_obj: Wire, name: str) -> Ruling:
    return Ruling(allowed=False, reason="Denied", message=f"{name} may not")


def warn(_obj: Wire, _name: str) -> Ruling:
    return Ruling(allowed=True, warnings=["x" * 999])


def test_a_refusal_carries_a_reason_and_a_sentence() -> None:
    response = answer(review(), {"federationrequests": deny})["response"]
    assert response == {
        "uid": "u1",
        "allowed": False,
        "status": {"code": 403, "reason": "Forbidden", "message": "Denied: n1 may not"},
    }


def test_a_warning_is_cut_to_what_the_api_server_passes_on() -> None:
    response = answer(review(), {"federationrequests": warn})["response"]
    assert response["allowed"]
    assert len(response["warnings"][0]) == 256


def test_other_kinds_are_none_of_our_business() -> None:
    assert answer(review("pods"), {"federationrequests": deny})["response"]["allowed"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"request": 5}', b'{"request": {"uid": 1}}', b"\xff\xfe"]
)
async def test_a_body_that_is_no_review_gets_400_and_not_a_word(body: bytes) -> None:
    async with TestClient(TestServer(admission_app({"federationrequests": deny}, ManualClock()))) as client:
        found = await client.post(PATH, data=body)
        assert (found.status, await found.read()) == (400, b"")


async def test_a_body_beyond_its_bound_is_not_read() -> None:
    async with TestClient(TestServer(admission_app({}, ManualClock()))) as client:
        found = await client.post(PATH, data=b" " * (REVIEW_MAX + 1))
        assert found.status == 413


@pytest.mark.parametrize(("judge", "held"), [(deny, [HELD]), (warn, [])], ids=["refused", "taken"])
async def test_a_refusal_is_kept_back_for_a_moment(judge: Judge, held: list[timedelta]) -> None:
    clock = ManualClock()
    async with TestClient(TestServer(admission_app({"federationrequests": judge}, clock))) as client:
        answering = asyncio.ensure_future(client.post(PATH, json=review()))
        while not (answering.done() or clock.slept):
            await settle()
        await clock.advance(HELD)
        assert (await answering).status == 200
        assert clock.slept == held
