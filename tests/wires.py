"""Objects of a few kinds that every API server has, as small as they may be."""

from liqo.api.meta import Wire


def config_map(name: str, **data: str) -> Wire:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default"},
        **({"data": data} if data else {}),
    }


def service(name: str, status: Wire | None = None) -> Wire:
    """Return a Service, or with `status` only that: its conditions are a list-map, and nobody else writes it."""
    found: Wire = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
    }
    return found | (
        {"spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}} if status is None else {"status": status}
    )


def condition(kind: str, status: str = "True", reason: str = "R") -> Wire:
    at = "2026-01-01T00:00:00Z"
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": "",
        "lastTransitionTime": at,
    }


def version(obj: Wire) -> str:
    return str(obj["metadata"]["resourceVersion"])
