"""The admission webhook: AdmissionReview in, a pure verdict, AdmissionReview out (admission.k8s.io/v1).

Anyone who reaches the port may call it, so it has no side effects and tells nothing that a stranger may not know.
"""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import orjson
from aiohttp import web

from liqo.api.meta import Wire
from liqo.runtime.ports import Clock

PATH = "/admission"
HELD = timedelta(milliseconds=100)  # the three seats that strangers have by default then hear 30 a second
REVIEW_MAX = 256 * 1024  # a request at its bounds, twice over; a larger pod stays as it is, and home


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the webhook says: allowed, or a sentence that says why not.

    Args:
        allowed: whether the object is taken.
        reason: CamelCase.
        message: why not.
        warnings: shown to whoever sends the object.
        patch: what is changed in an object that is taken (RFC 6902).
    """

    allowed: bool
    reason: str = ""
    message: str = ""
    warnings: Sequence[str] = field(default=())
    patch: Sequence[Wire] = field(default=())


Judge = Callable[[Wire, str], Ruling]
"""(object, name) → ruling."""


def answer(review: Wire, judges: dict[str, Judge]) -> Wire:
    """Return the AdmissionReview that answers another; kinds without a judge are allowed."""
    request = review["request"]
    judge = judges.get(request["resource"]["resource"])
    ruling = (
        judge(request["object"], request.get("name") or request["object"]["metadata"].get("name", ""))
        if judge
        else Ruling(allowed=True)
    )
    response: Wire = {"uid": request["uid"], "allowed": ruling.allowed}
    if ruling.warnings:
        response["warnings"] = [w[:256] for w in ruling.warnings]
    if ruling.allowed and ruling.patch:
        response["patchType"] = "JSONPatch"
        response["patch"] = base64.b64encode(orjson.dumps(list(ruling.patch))).decode()
    if not ruling.allowed:
        response["status"] = {
            "code": 403,
            "reason": "Forbidden",
            "message": f"{ruling.reason}: {ruling.message}"[:1024],
        }
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}


def admission_app(judges: dict[str, Judge], clock: Clock) -> web.Application:
    """Return the webhook's HTTP application; a body that is no review gets 400 and not a word more.

    A refusal is kept back for a moment. Whoever is refused holds his seat in the API server's line of strangers
    meanwhile, so that the rest of a flood is turned away there, where that costs least.
    """

    async def review(request: web.Request) -> web.Response:
        try:
            body = orjson.loads(await request.read())
            out = answer(body, judges)
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            return web.Response(status=400)
        if not out["response"]["allowed"]:
            await clock.sleep(HELD)
        return web.Response(body=orjson.dumps(out), content_type="application/json")

    app = web.Application(client_max_size=REVIEW_MAX)
    app.router.add_post(PATH, review)
    return app
