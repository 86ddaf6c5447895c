"""Compares what a cluster allows with what `liqo install` and the peerings give; pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from liqo.api.crd import forge_crds
from liqo.api.kinds import (
    ADMISSION_POLICY,
    ADMISSION_POLICY_BINDING,
    CUSTOM_RESOURCE_DEFINITION,
    FLOW_SCHEMA,
    MUTATING_WEBHOOK,
    PRIORITY_LEVEL,
    ROLE,
    ROLE_BINDING,
    VALIDATING_WEBHOOK,
)
from liqo.api.meta import Key, Kind, Wire, labels_of
from liqo.api.names import (
    CLUSTER_ID_LABEL,
    DOOR,
    ENABLED_LABEL,
    HOME_NAMESPACE_LABEL,
    INVITE_PREFIX,
    KUBELET_APPROVER,
    LAN_AGENT,
    STRANGERS,
    TENANT_LABEL,
    request_name,
    tenant_namespace,
    tenant_role,
)
from liqo.api.rights import (
    PEER_PREFIX,
    Objects,
    forge_account_subject,
    forge_object,
    forge_offload_rights,
    forge_peer_rights,
    forge_role_ref,
    forge_tenant_rights,
    forge_workload_rights,
)
from liqo.install.flow import forge_flow
from liqo.install.grants import Grant, Right, Subject, account, in_words, read_grants, uncovered
from liqo.install.lan import forge_lan_rights
from liqo.install.magnet import forge_magnet
from liqo.install.policies import forge_policies
from liqo.install.rights import (
    AUTHENTICATED,
    CLUSTER_INFO,
    PUBLIC_NAMESPACE,
    UNAUTHENTICATED,
    forge_rights,
)
from liqo.install.webhook import Service, forge_webhook

ANONYMOUS = "system:anonymous"
ACCOUNTS = "system:serviceaccounts"
REPAIR = "liqo install puts back what it brings; what others added has to be deleted"
SHOWN = 3  # rights in one sentence; the table has all
COMPARED = (
    CUSTOM_RESOURCE_DEFINITION,
    ADMISSION_POLICY,
    ADMISSION_POLICY_BINDING,
    PRIORITY_LEVEL,
    FLOW_SCHEMA,
    VALIDATING_WEBHOOK,
    MUTATING_WEBHOOK,
)
"""Kinds of which ours have to be as they were installed."""

_VERSION = ("/healthz", "/livez", "/readyz", "/version", "/version/")
_DISCOVERY = ("/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*")
_ISSUER = (
    "/.well-known/openid-configuration",
    "/.well-known/openid-configuration/",
    "/openid/v1/jwks",
    "/openid/v1/jwks/",
)
_SELF = (
    ("authorization.k8s.io", "selfsubjectaccessreviews"),
    ("authorization.k8s.io", "selfsubjectrulesreviews"),
    ("authentication.k8s.io", "selfsubjectreviews"),
)


def _urls(paths: Iterable[str]) -> set[Right]:
    return {Right("", "", path, "", "get") for path in paths}


BUILT_IN: Mapping[Subject, set[Right]] = {
    Subject("Group", UNAUTHENTICATED): _urls(_VERSION),
    Subject("Group", AUTHENTICATED): _urls((*_VERSION, *_DISCOVERY))
    | {Right("", group, plural, "", "create") for group, plural in _SELF},
    Subject("Group", ACCOUNTS): _urls(_ISSUER)
    | {
        Right("", "certificates.k8s.io", "clustertrustbundles", "", verb) for verb in ("get", "list", "watch")
    },
    Subject("User", ANONYMOUS): {Right(PUBLIC_NAMESPACE, "", "configmaps", CLUSTER_INFO, "get")},
}
"""What Kubernetes itself gives to everybody; the last one is kubeadm's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Warn:
    """One thing that is not as it should be, and what to do about it."""

    about: str
    message: str
    hint: str = REPAIR


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A cluster as its administrator sees it.

    Args:
        namespace: Liqo's own.
        rbac: all roles and bindings.
        namespaces: all.
        accounts: the ServiceAccounts in Liqo's namespace.
        tokens: the Secrets with tokens of ServiceAccounts in it, and where tenants are; without their data.
        settings: all objects of the kinds COMPARED.
    """

    namespace: str
    rbac: Objects
    namespaces: Sequence[Wire] = ()
    accounts: Sequence[Wire] = ()
    tokens: list[Wire] = field(default_factory=list)
    settings: Objects = field(default_factory=list)


def audit(seen: Seen) -> list[Warn]:
    """Return everything that is more, less or other than it should be."""
    return [*_more(seen), *_less(seen), *_settings(seen), *_accounts(seen), *_tokens(seen)]


def identities(seen: Seen) -> list[Grant]:
    """Return what each identity of ours may do, by which binding, strangers first."""
    return [g for g in sorted(_ours(seen), key=_order) if g.rights - BUILT_IN.get(g.subject, set())]


def whose(subject: Subject, namespace: str) -> str:
    """Return what people call an identity."""
    name = subject.name.removeprefix("system:serviceaccount:")
    return name if name == subject.name else name.removeprefix(f"{namespace}:").replace(":", "/")


def places(seen: Seen) -> list[str]:
    """Return the namespaces whose accounts are Liqo's or a home cluster's."""
    foreign = (ns for ns in seen.namespaces if {TENANT_LABEL, HOME_NAMESPACE_LABEL} & labels_of(ns).keys())
    return [seen.namespace, *(ns["metadata"]["name"] for ns in foreign)]


def _ours(seen: Seen) -> list[Grant]:
    """Return what is granted to identities of ours, and to groups that they are in."""
    there = places(seen)
    names = {UNAUTHENTICATED, AUTHENTICATED, ACCOUNTS, ANONYMOUS, *(f"{ACCOUNTS}:{place}" for place in there)}
    accounts = tuple(f"system:serviceaccount:{place}:" for place in there)
    return [
        grant
        for grant in read_grants(seen.rbac)
        if grant.subject.name in names or grant.subject.name.startswith(accounts)
    ]


def _order(grant: Grant) -> tuple[bool, Subject, str]:
    return (UNAUTHENTICATED not in grant.subject.name, grant.subject, grant.binding)


def _given(seen: Seen) -> Objects:
    """Return all RBAC that Liqo gives in this cluster as it stands: its own, and that of its peers."""
    ns = seen.namespace
    found = [*forge_rights(ns), *forge_lan_rights(ns)]
    for one in seen.accounts:
        name = one["metadata"]["name"]
        if name.startswith(PEER_PREFIX):
            found += forge_peer_rights(ns, name.removeprefix(PEER_PREFIX))
        if name.startswith(INVITE_PREFIX):
            found.append((ROLE_BINDING, _invited(ns, name)))
    for namespace in seen.namespaces:
        name, labels = namespace["metadata"]["name"], labels_of(namespace)
        cluster_id = labels.get(CLUSTER_ID_LABEL, "")
        if name == tenant_namespace(cluster_id):
            found += forge_tenant_rights(ns, cluster_id, _requests(seen, cluster_id))
        if HOME_NAMESPACE_LABEL in labels:
            found += forge_workload_rights(ns, name, cluster_id)
        if labels.get(ENABLED_LABEL) == "true":
            found.append((ROLE_BINDING, forge_offload_rights(ns, name)))
    return found


def _invited(ns: str, name: str) -> Wire:
    """Return the binding of an invite: whoever comes with it may ask, as a stranger may."""
    ref, subjects = forge_role_ref(ROLE, STRANGERS), [forge_account_subject(ns, name)]
    return forge_object(ROLE_BINDING, name, ns, roleRef=ref, subjects=subjects)


def _requests(seen: Seen, home_id: str) -> list[str]:
    """Return the requests that a home cluster's Role names, as far as they are its own."""
    key = Key(seen.namespace, tenant_role(home_id))
    role: Wire = next((obj for kind, obj in seen.rbac if kind is ROLE and Key.of(obj) == key), {})
    names = (name for rule in role.get("rules") or () for name in rule.get("resourceNames") or ())
    return [name for name in names if name.startswith(request_name(home_id, ""))]


def _may(grants: Iterable[Grant]) -> dict[Subject, set[Right]]:
    found: dict[Subject, set[Right]] = {}
    for grant in grants:
        found.setdefault(grant.subject, set()).update(grant.rights)
    return found


def _more(seen: Seen) -> list[Warn]:
    """Return the bindings that give an identity of ours, or a group that it is in, more than Liqo gives."""
    given, found = _may(read_grants(_given(seen))), []
    for grant in _ours(seen):
        due = given.get(grant.subject, set()) | BUILT_IN.get(grant.subject, set())
        if more := uncovered(grant.rights, due):
            who = whose(grant.subject, seen.namespace)
            message = f"{grant.binding} ({grant.role}) lets {who} {_listed(more)}, which Liqo does not give"
            found.append(Warn(about=who, message=message))
    return found


def _less(seen: Seen) -> list[Warn]:
    """Return who of our own processes lacks a right; peers come and go, and theirs with them."""
    ns, have = seen.namespace, _may(read_grants(seen.rbac))
    lan = any(a["metadata"]["name"] == LAN_AGENT for a in seen.accounts)
    due = _may(read_grants([*forge_rights(ns), *(forge_lan_rights(ns) if lan else ())]))
    found = []
    for subject, rights in due.items():
        if missing := uncovered(rights, have.get(subject, ())):
            who = whose(subject, ns)
            found.append(Warn(about=who, message=f"{who} may not {_listed(missing)}, which it needs"))
    return found


def _listed(rights: Iterable[Right]) -> str:
    rows = in_words(rights)
    said = [f"{verbs} {thing}" + (f" in {where}" if where else "") for where, thing, verbs in rows[:SHOWN]]
    return "; ".join(said) + (f"; and {len(rows) - SHOWN} more" if len(rows) > SHOWN else "")


def _settings(seen: Seen) -> list[Warn]:
    """Return which kinds, policies, priorities and webhooks are missing or were edited."""
    ns = seen.namespace
    there = {(kind.kind, obj["metadata"]["name"]): obj for kind, obj in seen.settings}
    wanted: Objects = [
        *((CUSTOM_RESOURCE_DEFINITION, crd) for crd in forge_crds()),
        *forge_policies(ns),
        *forge_flow(ns),
        (VALIDATING_WEBHOOK, forge_webhook(ns, Service())),
        (MUTATING_WEBHOOK, forge_magnet(ns, Service())),
    ]
    found = []
    for kind, obj in wanted:
        name = f"{kind.kind} {obj['metadata']['name']}"
        if (is_now := there.get((kind.kind, obj["metadata"]["name"]))) is None:
            found.append(Warn(about=name, message=f"{name} is not there", hint="liqo install brings it"))
        elif where := differs(_essence(obj), _essence(is_now)):
            message = f"{name} was edited: {where} is not as installed"
            found.append(Warn(about=name, message=message, hint=_again(kind, obj)))
    return found


def _again(kind: Kind, obj: Wire) -> str:
    """Return how what was edited becomes as it was; an apply leaves what was added to it."""
    if kind in {CUSTOM_RESOURCE_DEFINITION, MUTATING_WEBHOOK, VALIDATING_WEBHOOK}:
        return REPAIR  # objects, or the CA bundle, would go with it
    return f"kubectl delete {kind.kind.lower()} {obj['metadata']['name']}, then liqo install"


def _essence(obj: Wire) -> Any:
    """Return what an object says, without what the API server and the controller fill in."""
    return _said({key: value for key, value in obj.items() if key in {"spec", "webhooks"}})


def _said(value: Any) -> Any:
    """Return a value without what says nothing: what is empty, and what the API server takes for granted."""
    if isinstance(value, list):
        return [_said(one) for one in value]
    if not isinstance(value, dict):
        return value
    said = {key: _said(one) for key, one in value.items() if key not in _OF_THE_PLACE}
    return {
        key: one for key, one in said.items() if one not in (None, "", [], {}) and one != _DEFAULTS.get(key)
    }


_OF_THE_PLACE = {"clientConfig"}  # where a controller is reached, and by which CA it is known
_DEFAULTS: Mapping[str, object] = {
    "matchPolicy": "Equivalent",
    "scope": "*",
    "conversion": {"strategy": "None"},
    "distinguisherMethod": None,
}


def differs(wanted: Any, found: Any, path: str = "") -> str:
    """Return the path of the first difference, "" if there is none."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key in sorted(wanted.keys() | found.keys()):
            if where := differs(wanted.get(key), found.get(key), f"{path}.{key}".lstrip(".")):
                return where
        return ""
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for at, (one, other) in enumerate(zip(wanted, found, strict=True)):
            if where := differs(one, other, f"{path}[{at}]"):
                return where
        return ""
    return "" if wanted == found else path


def _accounts(seen: Seen) -> list[Warn]:
    """Return which accounts that no pod uses might be mounted into one."""
    return [
        Warn(about=name, message=f"pods that run as ServiceAccount {name} would get its token")
        for one in seen.accounts
        if (name := one["metadata"]["name"]) in {DOOR, KUBELET_APPROVER}
        and one.get("automountServiceAccountToken") is not False
    ]


def _tokens(seen: Seen) -> list[Warn]:
    """Return the tokens that never end: Liqo's own live for hours."""
    found = []
    for secret in seen.tokens:
        metadata = secret["metadata"]
        key = Key.of(secret)
        of = (metadata.get("annotations") or {}).get("kubernetes.io/service-account.name", "")
        who = whose(account(key.namespace, of), seen.namespace)
        hint = f"kubectl delete secret -n {key.namespace} {key.name}"
        found.append(
            Warn(about=who, message=f"Secret {key} holds a token of {who} that never ends", hint=hint)
        )
    return found
