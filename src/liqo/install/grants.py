"""What RBAC objects allow, right by right, and to whom; pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, product

from liqo.api.kinds import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, ROLE, ROLE_BINDING
from liqo.api.meta import Wire
from liqo.api.rights import Objects

ALL = "*"
SUBRESOURCES = "*/"  # of all resources, as RBAC writes it


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """Whom a binding is about; a ServiceAccount is the user as which it comes."""

    kind: str  # User, Group
    name: str


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One verb on one resource, or on one URL that is none (then group and name are empty)."""

    where: str  # a namespace, "" for the whole cluster
    group: str
    resource: str  # with its subresource: "pods/log"; or a URL: "/healthz"
    name: str  # "" for all
    verb: str

    def covers(self, other: "Right") -> bool:
        """Return whether who has this right has the other one too."""
        return (
            self.where in {"", other.where}
            and self.group in {ALL, other.group}
            and self._reaches(other.resource)
            and self.name in {"", other.name}
            and self.verb in {ALL, other.verb}
        )

    def _reaches(self, resource: str) -> bool:
        if self.resource.startswith(SUBRESOURCES):
            return resource.partition("/")[2] == self.resource[len(SUBRESOURCES) :]
        if self.resource.startswith("/") and self.resource.endswith(ALL):
            return resource.startswith(self.resource[:-1])
        return self.resource == resource or (self.resource == ALL and not resource.startswith("/"))


@dataclass(frozen=True, slots=True)
class Grant:
    """What one binding gives one subject."""

    subject: Subject
    rights: frozenset[Right]
    binding: str  # "RoleBinding liqo/liqo-lan"
    role: str  # "Role liqo-lan"


def read_grants(rbac: Objects) -> list[Grant]:
    """Return all grants; a binding of a role that is not there gives nothing."""
    roles = {
        (kind.kind, obj["metadata"].get("namespace", ""), obj["metadata"]["name"]): obj
        for kind, obj in rbac
        if kind in {ROLE, CLUSTER_ROLE}
    }
    return [
        grant
        for kind, obj in rbac
        if kind in {ROLE_BINDING, CLUSTER_ROLE_BINDING}
        for grant in _of_binding(kind.kind, obj, roles)
    ]


def _of_binding(kind: str, binding: Wire, roles: dict[tuple[str, str, str], Wire]) -> Iterator[Grant]:
    metadata, ref = binding["metadata"], binding["roleRef"]
    where = metadata.get("namespace", "")
    role = roles.get((ref["kind"], where if ref["kind"] == ROLE.kind else "", ref["name"]))
    rights = frozenset(right for rule in (role or {}).get("rules") or () for right in _of_rule(where, rule))
    if not rights:
        return
    name = f"{where}/{metadata['name']}" if where else metadata["name"]
    for subject in binding.get("subjects") or ():
        yield Grant(_subject(subject, where), rights, f"{kind} {name}", f"{ref['kind']} {ref['name']}")


def _of_rule(where: str, rule: Wire) -> Iterator[Right]:
    names = rule.get("resourceNames") or [""]
    for group, resource, name, verb in product(
        rule.get("apiGroups") or (), rule.get("resources") or (), names, rule["verbs"]
    ):
        yield Right(where, group, resource, name, verb)
    if not where:  # in a namespace RBAC counts no URL
        for url, verb in product(rule.get("nonResourceURLs") or (), rule["verbs"]):
            yield Right("", "", "/*" if url == ALL else url, "", verb)


def _subject(subject: Wire, where: str) -> Subject:
    if subject["kind"] == "ServiceAccount":
        return account(subject.get("namespace") or where, subject["name"])
    return Subject(subject["kind"], subject["name"])


def account(namespace: str, name: str) -> Subject:
    """Return a ServiceAccount as RBAC sees it."""
    return Subject("User", f"system:serviceaccount:{namespace}:{name}")


def uncovered(rights: Iterable[Right], by: Iterable[Right]) -> set[Right]:
    """Return those rights that no right of the others covers."""
    others = frozenset(by)
    return {right for right in rights if right not in others and not any(o.covers(right) for o in others)}


def in_words(rights: Iterable[Right]) -> list[tuple[str, str, str]]:
    """Return rights as people read them: (namespace or "", resource and name, verbs), in order."""
    found: Sequence[tuple[str, str, str]] = sorted((r.where, _thing(r), r.verb) for r in rights)
    return [
        (where, thing, ", ".join(verb for _, _, verb in same))
        for (where, thing), same in groupby(found, key=lambda row: row[:2])
    ]


def _thing(right: Right) -> str:
    plural, slash, subresource = right.resource.partition("/")
    if not plural:
        return right.resource
    if right.group == right.resource == ALL:
        return "everything"
    resource = f"{plural}.{right.group}" if right.group else plural
    return f"{resource}{slash}{subresource}" + (f" {right.name}" if right.name else "")
