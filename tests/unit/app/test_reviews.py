"""Who a caller of the kubelet endpoint is and what he may, and for how long that is believed."""

from datetime import timedelta
from typing import Any

import pytest

from liqo.api.meta import Wire
from liqo.app.reviews import ACCESS_PATH, NO_FOR, YES_FOR, Reviews, parse_token_review
from liqo.runtime.secret import Secret
from liqo.serve.kubelet import Caller
from manual_clock import ManualClock

NODE = "liqo-milan-abcdef"
API_SERVER = Caller("kube-apiserver-kubelet-client", ("system:masters", "system:authenticated"))
SCRAPER = Caller("system:serviceaccount:kube-system:metrics-server", ("system:authenticated",))


class Answering:
    """An API server that says yes or no to everything."""

    def __init__(self) -> None:
        self.yes = True
        self.asked: list[Wire] = []

    async def post(self, path: str, body: Wire) -> Wire:
        self.asked.append(body["spec"])
        if path == ACCESS_PATH:
            return {"status": {"allowed": self.yes}}
        user = {"username": SCRAPER.user, "groups": [*SCRAPER.groups], "uid": "1"}
        return {"status": {"authenticated": True, "user": user} if self.yes else {}}


def make() -> tuple[Answering, ManualClock, Reviews]:
    server, clock = Answering(), ManualClock()
    cluster: Any = server
    return server, clock, Reviews(cluster, clock)


async def test_an_answer_is_believed_for_a_while_and_for_that_node_verb_and_subresource_only() -> None:
    server, clock, reviews = make()
    asked = [
        (NODE, "get", "proxy"),
        (NODE, "create", "proxy"),
        ("other", "get", "proxy"),
        (NODE, "get", "metrics"),
    ]
    for question in (asked[0], *asked):
        assert await reviews.allows(API_SERVER, *question)
    attributes = [spec["resourceAttributes"] for spec in server.asked]
    assert [(a["name"], a["verb"], a["subresource"]) for a in attributes] == asked
    assert server.asked[0]["groups"] == ["system:masters", "system:authenticated"]
    server.yes = False
    await clock.advance(YES_FOR - timedelta(seconds=1))
    assert await reviews.allows(API_SERVER, *asked[0])
    await clock.advance(timedelta(seconds=1))
    assert not await reviews.allows(API_SERVER, *asked[0])
    server.yes = True
    await clock.advance(NO_FOR)
    assert await reviews.allows(API_SERVER, *asked[0])


async def test_whose_a_token_is_is_asked_once_in_a_while() -> None:
    server, clock, reviews = make()
    for _ in range(2):
        assert await reviews.identify(Secret("a")) == SCRAPER
    assert [spec["token"] for spec in server.asked] == ["a"]
    server.yes = False
    assert await reviews.identify(Secret("b")) is None
    await clock.advance(YES_FOR)
    assert await reviews.identify(Secret("a")) is None
    server.yes = True
    assert await reviews.identify(Secret("b")) == SCRAPER


@pytest.mark.parametrize(
    "status",
    [
        None,
        {},
        {"user": {"username": "root"}},
        {"authenticated": "true", "user": {"username": "root"}},
        {"authenticated": True},
        {"authenticated": True, "user": {"groups": ["system:masters"]}},
    ],
)
def test_an_answer_that_names_nobody_is_nobody(status: Any) -> None:
    assert parse_token_review({"status": status}) is None
