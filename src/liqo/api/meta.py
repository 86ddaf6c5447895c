"""What every object of the Kubernetes API has in common: kind, key, metadata, conditions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Self

from pydantic import Field

from liqo.api.model import Model, Time

Wire = dict[str, Any]
"""An object as JSON, as the API server sends and takes it."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object and where the API server serves it."""

    group: str  # "" for the core group
    version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """The apiVersion of its objects: "v1", "discovery.liqo.io/v1"."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """Plural and group, as RBAC and kubectl name it: "nodes", "advertisements.sharing.liqo.io"."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str = "", name: str = "") -> str:
        """Return the URL path of one object, or of all in a namespace ("" for all namespaces)."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        scope = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{root}{scope}/{self.plural}" + (f"/{name}" if name else "")


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """The one spelling of which object is meant; `namespace` is "" for cluster-scoped kinds."""

    namespace: str
    name: str

    @classmethod
    def of(cls, obj: Wire) -> Self:
        """Return the key of an object."""
        metadata = obj["metadata"]
        return cls(metadata.get("namespace", ""), metadata["name"])

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class ObjectMeta(Model):
    """The metadata that we read or write."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    finalizers: list[str] = Field(default_factory=list)
    creation_timestamp: Time | None = None
    deletion_timestamp: Time | None = None


class Condition(Model):
    """One aspect of an object's state (Kubernetes API conventions, "Typical status properties").

    `reason` is one of the constants in `liqo.api.reasons`.
    """

    type: str = Field(max_length=316)
    status: Literal["True", "False", "Unknown"]
    reason: str = Field(default="", max_length=1024)
    message: str = Field(default="", max_length=32768)
    last_transition_time: Time | None = None
    observed_generation: int | None = None


def find_condition(conditions: Sequence[Condition], kind: str) -> Condition | None:
    """Return the condition of that type."""
    return next((c for c in conditions if c.type == kind), None)


def is_true(conditions: Sequence[Condition], kind: str) -> bool:
    """Return whether the condition of that type says True."""
    found = find_condition(conditions, kind)
    return found is not None and found.status == "True"


def set_condition(old: Sequence[Condition], new: Condition, now: datetime) -> Condition:
    """Return `new` with the transition time of the old one of its type if the status is the same."""
    before = find_condition(old, new.type)
    same = before is not None and before.status == new.status
    since = before.last_transition_time if before is not None and same else now
    return new.model_copy(update={"last_transition_time": since or now})


def parse_time(text: str) -> datetime:
    """Read an RFC 3339 time as the API server writes it.

    Raises:
        ValueError: it is not one.
    """
    return datetime.fromisoformat(text)


def format_time(at: datetime) -> str:
    """Write an instant as RFC 3339 in UTC, whole seconds, as metav1.Time does."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def format_micro_time(at: datetime) -> str:
    """Write an instant with microseconds, as metav1.MicroTime does."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def is_ready(obj: Mapping[str, Any]) -> bool:
    """Return whether a node or a pod says that it is Ready."""
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def labels_of(obj: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the labels of an object, empty if it has none."""
    return obj["metadata"].get("labels") or {}
