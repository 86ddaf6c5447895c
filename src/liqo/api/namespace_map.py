"""NamespaceMap: which of home's namespaces have a place on foreign."""

from typing import Annotated, ClassVar

from pydantic import Field

from liqo.api.advertisement import Resources
from liqo.api.bounds import Label, Message, ReasonText
from liqo.api.cidrs import CIDR_CHARS, CIDRS_MAX
from liqo.api.meta import ObjectMeta
from liqo.api.model import Model

NAMESPACES_MAX = 50  # a peer


Cidrs = Annotated[list[Annotated[str, Field(max_length=CIDR_CHARS)]], Field(max_length=CIDRS_MAX)]


class Need(Model):
    """What home's pods in one namespace ask for."""

    name: Label
    resources: Resources


class NamespaceMapSpec(Model):
    """Written by home."""

    namespaces: Annotated[list[Label], Field(max_length=NAMESPACES_MAX)] = Field(default_factory=list)
    needs: list[Need] = Field(
        default_factory=list,
        max_length=NAMESPACES_MAX,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )  # as they were when a quota last refused a pod; the offer is spread with that in view
    pod_cidrs: Cidrs = Field(default_factory=list)  # home's pod networks


class Mapped(Model):
    """Where one namespace of home is."""

    name: Label
    remote: Label | None = None
    reason: ReasonText = ""
    message: Message = ""


class NamespaceMapStatus(Model):
    """Written by foreign."""

    namespaces: list[Mapped] = Field(
        default_factory=list,
        max_length=NAMESPACES_MAX,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    pod_cidrs: Cidrs = Field(default_factory=list)  # foreign's pod networks


class NamespaceMap(Model):
    """Which of home's namespaces have a place on foreign."""

    crd: ClassVar = {
        "shortNames": ["nsm"],
        "columns": [("Age", "date", ".metadata.creationTimestamp")],
        "rules": [],
    }

    metadata: ObjectMeta
    spec: NamespaceMapSpec
    status: NamespaceMapStatus = NamespaceMapStatus()
