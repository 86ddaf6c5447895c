"""An invite as one string that a person passes on: who invites, where, and a token that opens once.

It is as secret as the token in it. It is not signed: whoever it is taken from is trusted by the one who takes it, and
the ClusterID in it has to prove itself as any other.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field

from liqo.api.bounds import ClusterIDText, Label, Url
from liqo.api.model import Model
from liqo.errors import Malformed
from liqo.identity.canonical import canonical, format_base64url, parse_base64url, parse_object
from liqo.identity.jws import Instant
from liqo.identity.kubeconfig import TOKEN_MAX
from liqo.runtime.secret import Secret

PREFIX = "liqo-invite-"
INVITE_MAX = 32_768  # characters; the longest token, twice in base64, with room
WHAT = "the invite"
FINGERPRINTS_MAX = 1_600  # 16 certificates of 97 characters


class _Said(Model):
    """What is in the string."""

    v: Annotated[int, Field(strict=True, ge=1, le=1)]
    id: ClusterIDText
    name: Label
    namespace: Label
    url: Url
    door: Url | None = None
    ca: Annotated[str, Field(max_length=FINGERPRINTS_MAX, pattern=r"^[0-9A-F:, ]*$")] = ""
    token: Annotated[str, Field(max_length=TOKEN_MAX, pattern=r"^[A-Za-z0-9._-]+$")]
    exp: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Invite:
    """What one cluster tells another by hand."""

    cluster_id: str
    cluster_name: str
    namespace: str  # of Liqo there
    server: str  # its API server
    door_url: str  # "" if its API server takes anonymous requests
    ca: str  # the fingerprints of its CA; "" if it does not publish one
    token: Secret
    expires: datetime


def format_invite(invite: Invite) -> str:
    """Write an invite as one string."""
    said = {
        "v": 1,
        "id": invite.cluster_id,
        "name": invite.cluster_name,
        "namespace": invite.namespace,
        "url": invite.server,
        "ca": invite.ca,
        "token": invite.token.reveal(),
        "exp": int(invite.expires.timestamp()),
        **({"door": invite.door_url} if invite.door_url else {}),
    }
    return PREFIX + format_base64url(canonical(said))


def is_invite(text: str) -> bool:
    """Return whether a text means to be an invite."""
    return text.strip().startswith(PREFIX)


def parse_invite(text: str) -> Invite:
    """Read an invite; a line that a terminal or a mail broke is put together again.

    Raises:
        Malformed: it is none, or not whole; the message never holds a part of it.
    """
    body = re.sub(r"\s", "", text).removeprefix(PREFIX)
    if len(body) > INVITE_MAX:
        raise Malformed(f"{WHAT} is longer than {INVITE_MAX} characters")
    try:
        said = _Said.parse(parse_object(parse_base64url(body, WHAT), WHAT))
    except Malformed:
        said = None
    if said is None:
        raise Malformed(
            f"{WHAT} cannot be read", hint="is it whole? It is one string that begins with " + PREFIX
        )
    return Invite(
        cluster_id=said.id,
        cluster_name=said.name,
        namespace=said.namespace,
        server=said.url,
        door_url=said.door or "",
        ca=said.ca,
        token=Secret(said.token),
        expires=datetime.fromtimestamp(said.exp, UTC),
    )
