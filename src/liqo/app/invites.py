"""What a person does with invites: make one, see which are open, take one back, and use one."""

import base64
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from liqo.adapters.kubeconfig import Access
from liqo.api.kinds import CONFIG_MAP, FOREIGN_CLUSTER, ROLE_BINDING, SERVICE_ACCOUNT
from liqo.api.meta import Key, Wire
from liqo.api.names import (
    INVITE_LABEL,
    INVITE_PREFIX,
    WELL_KNOWN_CONFIG_MAP,
    WELL_KNOWN_KEY,
)
from liqo.app.home import find_own_server
from liqo.app.peers import forge_manual, list_foreign, read_config
from liqo.errors import Absent, Invalid
from liqo.identity.cluster_id import check_id, is_legacy_id
from liqo.identity.document import Document, parse_document
from liqo.identity.invite import Invite, format_invite, parse_invite
from liqo.identity.kubeconfig import Credentials, seal
from liqo.identity.trust import fingerprints
from liqo.peering.invites import TTL_MAX, TTL_MIN, expires, forge_account, forge_binding, only_for
from liqo.peering.loop_rights import issue_token
from liqo.runtime.ports import Clock, Cluster, Selection

NAME_BYTES = 5
TOKEN_MIN = timedelta(minutes=10)  # TokenRequest gives no shorter one; the invite's account goes before that


@dataclass(frozen=True, slots=True)
class Open:
    """An invite that was not used yet."""

    name: str
    only: str  # the ClusterID that it is for; "" for whoever comes first
    expires: datetime | None


async def make_invite(
    cluster: Cluster, access: Access, namespace: str, *, only: str, ttl: timedelta, clock: Clock
) -> str:
    """Make an invite; return the string that a person passes on.

    Args:
        cluster: ours.
        access: how we reach it.
        namespace: Liqo's.
        only: the ClusterID that it is for; "" for whoever comes first.
        ttl: how long it is open.
        clock: the time.

    Raises:
        Invalid: Liqo is not installed or has not run there, or an argument is wrong.
    """
    if not TTL_MIN <= ttl <= TTL_MAX:
        raise Invalid(f"an invite is open for {TTL_MIN.seconds} s to {TTL_MAX.days} days")
    if only:
        check_id(only)
    document = await _read_document(cluster, namespace, clock)
    server = await find_own_server(cluster, access, (await read_config(cluster)).discovery_config)
    name = INVITE_PREFIX + base64.b32encode(secrets.token_bytes(NAME_BYTES)).decode("ascii").lower()
    end = clock.now() + ttl
    account = await cluster.create(SERVICE_ACCOUNT, forge_account(name, namespace, expires=end, only=only))
    await cluster.create(ROLE_BINDING, forge_binding(account))
    token = await issue_token(cluster, namespace, name, clock, lifetime=max(ttl, TOKEN_MIN))
    return format_invite(
        Invite(
            cluster_id=document.cluster_id,
            cluster_name=document.cluster_name,
            namespace=namespace,
            server=server,
            door_url=document.door_url,
            ca=", ".join(fingerprints(document.ca_bundle)) if document.ca_bundle else "",
            token=token.text,
            expires=end,
        )
    )


async def list_invites(cluster: Cluster, namespace: str) -> list[Open]:
    """Return the open invites, the next to end first."""
    found = await cluster.list(Selection(SERVICE_ACCOUNT, namespace=namespace, labels=f"{INVITE_LABEL}=true"))
    invites = [Open(w["metadata"]["name"], only_for(w), expires(w)) for w in found.items]
    return sorted(invites, key=lambda i: (str(i.expires), i.name))


async def take_back(cluster: Cluster, namespace: str, name: str) -> None:
    """Take an invite back.

    Raises:
        Invalid: there is none of that name.
    """
    known = [i.name for i in await list_invites(cluster, namespace)]
    if name not in known:
        raise Invalid(f"no invite is called {name!r}", hint=f"the open ones: {', '.join(known) or 'none'}")
    await cluster.delete(SERVICE_ACCOUNT, Key(namespace, name))


async def join_invite(cluster: Cluster, text: str, *, name: str, namespace: str, clock: Clock) -> str:
    """Have the cluster joined that invited us; return the name of its ForeignCluster.

    Its token is sealed to our own controller, so that nobody can read it in the ForeignCluster.

    Args:
        cluster: ours.
        text: the invite.
        name: of the ForeignCluster; "" for the name of the cluster.
        namespace: Liqo's, here.
        clock: the time.

    Raises:
        Malformed: that is no invite.
        Invalid: it is over, or our own, or Liqo is not installed here.
    """
    invite = parse_invite(text)
    if clock.now() >= invite.expires:
        raise Invalid("the invite is over", hint="ask for another one: liqo invite, there")
    us = await _read_document(cluster, namespace, clock)
    if invite.cluster_id == us.cluster_id:
        raise Invalid("that is an invite of this very cluster", hint="use it on the cluster that is to join")
    sealed = seal(
        Credentials(server=invite.server, ca_pem="", token=invite.token, namespace=invite.namespace),
        us.keys.sealing,
        issuer=us.cluster_id,
        audience=us.cluster_id,
    )
    spec: Wire = {"join": True, "invite": sealed, "apiUrl": invite.server}
    if invite.door_url:
        spec["doorUrl"] = invite.door_url
    if invite.ca and is_legacy_id(invite.cluster_id):
        spec["pin"] = {"caFingerprints": invite.ca.split(", ")}
    known = [f for f in await list_foreign(cluster) if f.spec.cluster_id == invite.cluster_id]
    entered = next((f for f in known if f.spec.discovery_type == "Manual"), None)
    if entered is not None:
        await cluster.patch(
            FOREIGN_CLUSTER, Key("", entered.metadata.name), {"spec": spec}, manager="liqo-cli"
        )
        return entered.metadata.name
    spec |= {
        "clusterID": invite.cluster_id,
        "clusterName": invite.cluster_name,
        "namespace": invite.namespace,
        "allowUntrustedCA": (await read_config(cluster)).discovery_config.accept_untrusted_ca,
    }
    chosen = name or invite.cluster_name
    await cluster.create(FOREIGN_CLUSTER, forge_manual(chosen, spec))
    return chosen


async def _read_document(cluster: Cluster, namespace: str, clock: Clock) -> Document:
    try:
        found = await cluster.get(CONFIG_MAP, Key(namespace, WELL_KNOWN_CONFIG_MAP))
    except Absent:
        raise Invalid(
            "this cluster has no identity yet", hint="liqo install, and run its controller once"
        ) from None
    return parse_document((found.get("data") or {}).get(WELL_KNOWN_KEY, ""), clock.now())
