"""A model as a CustomResourceDefinition with a structural schema."""

from typing import Any

from liqo.api.advertisement import Advertisement
from liqo.api.cluster_config import ClusterConfig
from liqo.api.federation_request import FederationRequest
from liqo.api.foreign_cluster import ForeignCluster
from liqo.api.kinds import (
    ADVERTISEMENT,
    CLUSTER_CONFIG,
    FEDERATION_REQUEST,
    FOREIGN_CLUSTER,
    NAMESPACE_MAP,
    SEARCH_DOMAIN,
)
from liqo.api.meta import Kind, Wire
from liqo.api.model import Model
from liqo.api.namespace_map import NamespaceMap
from liqo.api.search_domain import SearchDomain

MODELS: tuple[tuple[Kind, type[Model]], ...] = (
    (SEARCH_DOMAIN, SearchDomain),
    (FOREIGN_CLUSTER, ForeignCluster),
    (FEDERATION_REQUEST, FederationRequest),
    (CLUSTER_CONFIG, ClusterConfig),
    (ADVERTISEMENT, Advertisement),
    (NAMESPACE_MAP, NamespaceMap),
)

# What pydantic says and a structural schema refuses, or nobody wants there.
_DROP = {"title", "default", "discriminator", "$defs"}


def forge_crds() -> list[Wire]:
    """Return the definitions of all kinds that Liqo brings."""
    return [forge_crd(kind, model) for kind, model in MODELS]


def forge_crd(kind: Kind, model: type[Model]) -> Wire:
    """Return the definition of one kind; `model.crd` names its columns, short names and root rules."""
    extras: dict[str, Any] = model.crd  # type: ignore[attr-defined]
    schema = forge_schema(model, skip={"metadata"})
    schema["properties"] = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
        **schema["properties"],
    }
    schema["required"] = [name for name in ("spec",) if name in schema["properties"]]
    if extras["rules"]:
        schema["x-kubernetes-validations"] = extras["rules"]
    version: Wire = {
        "name": kind.version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "additionalPrinterColumns": [
            {"name": name, "type": form, "jsonPath": path, **({"priority": rest[0]} if rest else {})}
            for name, form, path, *rest in extras["columns"]
        ],
    }
    if "status" in schema["properties"]:
        version["subresources"] = {"status": {}}
    names: Wire = {
        "kind": kind.kind,
        "listKind": f"{kind.kind}List",
        "plural": kind.plural,
        "singular": kind.kind.lower(),
        "categories": ["liqo"],
    }
    if extras["shortNames"]:
        names["shortNames"] = extras["shortNames"]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": kind.resource},
        "spec": {
            "group": kind.group,
            "names": names,
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "versions": [version],
        },
    }


def forge_schema(model: type[Model], *, skip: frozenset[str] | set[str] = frozenset()) -> Wire:
    """Return the structural schema of a model: references inlined, null and titles dropped."""
    raw = model.model_json_schema(by_alias=True)
    definitions = raw.get("$defs", {})
    schema: Wire = _inline(
        {**raw, "properties": {k: v for k, v in raw["properties"].items() if k not in skip}}, definitions
    )
    return schema


def _inline(node: Any, definitions: Wire) -> Any:
    """Walk a schema and make it structural."""
    if isinstance(node, list):
        return [_inline(each, definitions) for each in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _merge(definitions[node["$ref"].rsplit("/", 1)[1]], node, "$ref", definitions)
    if "anyOf" in node:
        (option,) = (o for o in node["anyOf"] if o.get("type") != "null")
        return _merge(option, node, "anyOf", definitions)
    return {
        ("enum" if name == "const" else name): _keyword(name, value, definitions)
        for name, value in node.items()
        if name not in _DROP
    }


def _merge(target: Wire, node: Wire, without: str, definitions: Wire) -> Any:
    """Put what stands beside a reference into what it refers to."""
    return _inline({**target, **{k: v for k, v in node.items() if k != without}}, definitions)


def _keyword(name: str, value: Any, definitions: Wire) -> Any:
    """Return one keyword of a schema as a structural schema has it."""
    if name == "properties":
        return {k: _inline(v, definitions) for k, v in value.items()}
    if name == "const":
        return [value]
    if name == "required":
        return sorted(value)
    if name == "description":
        return " ".join(value.split())
    return value if name.startswith("x-kubernetes") else _inline(value, definitions)
