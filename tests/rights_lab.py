"""A real API server with Liqo's rights and fences on it, and clients that come as somebody else."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

from liqo.adapters.clock import SystemClock, SystemRandom
from liqo.adapters.kube import HttpCluster
from liqo.adapters.kubeconfig import Access, make_context, read_kubeconfig
from liqo.api.kinds import (
    ADMISSION_POLICY_BINDING,
    CUSTOM_RESOURCE_DEFINITION,
    FEDERATION_REQUEST,
    MUTATING_WEBHOOK,
    NAMESPACE,
    ROLE_BINDING,
    SERVICE_ACCOUNT,
    VALIDATING_WEBHOOK,
)
from liqo.api.meta import Key, Kind, Wire
from liqo.api.names import CONTROLLER, tenant_namespace
from liqo.api.rights import Objects, forge_account_subject, forge_object, forge_role_ref
from liqo.errors import Absent, Fault, Forbidden
from liqo.install.manifests import Install, forge_manifests
from liqo.install.policies import forge_policies
from liqo.install.rights import LEASES_NAMESPACE, PUBLIC_NAMESPACE
from liqo.install.webhook import Url

NS = "liqo"
ID = "abcdefghijklmnopqrstuvwxyz234567"
OTHER = "bcdefghijklmnopqrstuvwxyz234567a"
TENANT = tenant_namespace(ID)
TRY_FOR = timedelta(seconds=60)
PAUSE = timedelta(milliseconds=50)
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
OTHERS = (LEASES_NAMESPACE, PUBLIC_NAMESPACE, "kube-system")

Found = TypeVar("Found")
Call = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Bench:
    """Makes clients of one API server; closes them at the end."""

    access: Access
    admin: HttpCluster
    stack: AsyncExitStack

    def stranger(self) -> HttpCluster:
        """Return a client without credentials."""
        return self._client("")

    async def account(self, namespace: str, name: str) -> HttpCluster:
        """Return a client with a token of that ServiceAccount."""
        path = f"{SERVICE_ACCOUNT.path(namespace, name)}/token"
        answer = await self.admin.post(path, forge_token_request(3600))
        return self._client(answer["status"]["token"])

    def _client(self, token: str) -> HttpCluster:
        client = HttpCluster(
            self.access.server,
            ssl_context=make_context(self.access.ca_pem),
            token=(lambda: token) if token else None,
            clock=SystemClock(),
            random=SystemRandom(),
        )
        self.stack.push_async_callback(client.close)
        return client


@asynccontextmanager
async def installed(kubeconfig: Path) -> AsyncIterator[Bench]:
    """Put everything but the webhook, which nobody answers here, on the API server."""
    access = read_kubeconfig(kubeconfig)
    async with AsyncExitStack() as stack:
        admin = HttpCluster(
            access.server,
            ssl_context=access.ssl_context,
            token=access.token,
            clock=SystemClock(),
            random=SystemRandom(),
        )
        stack.push_async_callback(admin.close)
        install = Install(namespace=NS, webhook=Url("https://192.0.2.1/admission"), request_policy="Manual")
        for name in OTHERS:
            await eventually(partial(admin.get, NAMESPACE, Key("", name)))
        await admin.delete(VALIDATING_WEBHOOK, Key("", "liqo"))
        for manifest in forge_manifests(install):
            if manifest.kind in {VALIDATING_WEBHOOK, MUTATING_WEBHOOK}:
                continue
            await admin.apply(manifest.kind, manifest.obj, manager="liqo-install")
            if manifest.kind is CUSTOM_RESOURCE_DEFINITION:
                await eventually(partial(_established, admin, manifest.obj))
        bench = Bench(access, admin, stack)
        await _in_force(bench)
        yield bench


async def _established(admin: HttpCluster, crd: Wire) -> None:
    found = await admin.get(CUSTOM_RESOURCE_DEFINITION, Key.of(crd))
    conditions = {c["type"]: c["status"] for c in (found.get("status") or {}).get("conditions") or ()}
    if conditions.get("Established") != "True":
        raise Absent("not served yet")


async def _in_force(bench: Bench) -> None:
    """Wait for the policies: those made last are in force last."""
    controller = await bench.account(NS, CONTROLLER)
    stray = forge_object(NAMESPACE, "not-a-tenant")
    await refused(lambda: controller.apply(NAMESPACE, stray, manager="test"), Forbidden)
    path = f"{SERVICE_ACCOUNT.path(NS, CONTROLLER)}/token"
    await refused(lambda: controller.post(path, forge_token_request(600)), Forbidden)


@asynccontextmanager
async def left_out(bench: Bench, policy: str) -> AsyncIterator[None]:
    """Take one policy out of force for a while."""
    (binding,) = (
        obj
        for kind, obj in forge_policies(NS)
        if kind is ADMISSION_POLICY_BINDING and obj["metadata"]["name"] == policy
    )
    await bench.admin.delete(ADMISSION_POLICY_BINDING, Key("", policy))
    try:
        yield
    finally:
        await bench.admin.apply(ADMISSION_POLICY_BINDING, binding, manager="liqo-install")


async def eventually(call: Callable[[], Awaitable[Found]]) -> Found:
    """Call until it is not refused any more."""
    clock = SystemClock()
    end = clock.now() + TRY_FOR
    while True:
        try:
            return await call()
        except Fault:
            if clock.now() > end:
                raise
        await clock.sleep(PAUSE)


async def stopped_by(bench: Bench, policy: str, attack: Call, fault: type[Fault]) -> None:
    """See that an attack is refused, succeeds while that policy is left out, and is refused again.

    The attack sets its own stage, so that it can be tried again and again.
    """
    await refused(attack, fault)
    async with left_out(bench, policy):
        await eventually(attack)
    await refused(attack, fault)


async def refused(call: Call, fault: type[Fault]) -> None:
    """Call until it is refused in that way."""
    clock = SystemClock()
    end = clock.now() + TRY_FOR
    while clock.now() < end:
        try:
            await call()
        except fault:
            return
        await clock.sleep(PAUSE)
    raise AssertionError(f"nobody refused that as {fault.__name__}")


async def clear(admin: HttpCluster, kind: Kind, key: Key) -> None:
    """Delete an object, whatever finalizers it has."""
    with suppress(Absent):
        await admin.patch(kind, key, {"metadata": {"finalizers": None}})
        await admin.delete(kind, key, grace=0)


async def grant(client: HttpCluster, objects: Objects) -> None:
    """Apply rights; one that was granted just before takes a moment to be in force."""
    for kind, obj in objects:
        await eventually(partial(client.apply, kind, obj, manager="test"))


async def rules(client: HttpCluster, namespace: str) -> set[str]:
    """Return what the client may do in a namespace, as the API server tells it itself."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    answer = await client.post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", review)
    assert not answer["status"]["incomplete"] or "node" in answer["status"]["evaluationError"]
    return {json.dumps(rule, sort_keys=True) for rule in answer["status"]["resourceRules"]}


async def allowed(bench: Bench, user: Wire, namespace: str, name: str = "") -> set[tuple[str, str]]:
    """Return all that a user may do to objects of that name, asked one by one: (resource, verb).

    Anonymous may not ask what he may do.
    """
    seats = asyncio.Semaphore(16)

    async def ask(resource: str, verb: str) -> tuple[str, str] | None:
        plural, _, group = resource.partition(".")
        plural, _, subresource = plural.partition("/")
        attributes = {
            "namespace": namespace,
            "name": name,
            "group": group,
            "resource": plural,
            "subresource": subresource,
            "verb": verb,
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {**user, "resourceAttributes": attributes},
        }
        async with seats:
            answer = await bench.admin.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
        return (resource, verb) if answer["status"]["allowed"] else None

    asked = [ask(resource, verb) for resource in await _resources(bench.admin) for verb in VERBS]
    return {found for found in await asyncio.gather(*asked) if found is not None}


async def _resources(admin: HttpCluster) -> list[str]:
    """Return every resource and subresource that the API server serves, as PLURAL.GROUP."""
    groups = (await admin.fetch("/apis"))["groups"]
    paths = ["/api/v1", *(f"/apis/{v['groupVersion']}" for group in groups for v in group["versions"])]
    found = set()
    for path in paths:
        answer = await admin.fetch(path)
        group = answer["groupVersion"].rpartition("/")[0]
        found |= {f"{resource['name']}.{group}".rstrip(".") for resource in answer["resources"]}
    return sorted(found)


def forge_request(name: str, *, invite: str = "", **metadata: object) -> Wire:
    """Return a FederationRequest as the cluster sends it whose id the name begins with."""
    spec: Wire = {
        "protocol": 1,
        "clusterID": name[: len(ID)],
        "clusterName": "rome",
        "namespace": "liqo",
        "keys": {"keys": []},
        "kubeConfig": "sealed",
        "proof": "proof",
        **({"invite": invite} if invite else {}),
    }
    return {
        "apiVersion": FEDERATION_REQUEST.api_version,
        "kind": FEDERATION_REQUEST.kind,
        "metadata": {"name": name, "namespace": NS, **metadata},
        "spec": spec,
    }


def forge_advertisement(cluster_id: str, **metadata: object) -> Wire:
    """Return an Advertisement, as a foreign cluster offers it."""
    spec = {"protocol": 1, "clusterID": cluster_id, "clusterName": "m", "phase": "Offered", "answers": "a"}
    return {"metadata": {"name": cluster_id, "namespace": NS, **metadata}, "spec": spec}


def forge_token_request(seconds: int) -> Wire:
    """Return a TokenRequest."""
    return {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": seconds},
    }


def forge_binding(name: str, namespace: str, kind: Kind, role: str, account: str) -> Wire:
    """Return a RoleBinding of a role to a ServiceAccount of Liqo's namespace."""
    subjects = [forge_account_subject(NS, account)]
    return forge_object(ROLE_BINDING, name, namespace, roleRef=forge_role_ref(kind, role), subjects=subjects)
