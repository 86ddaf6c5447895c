"""Kubeconfigs with all inside, as text; pure."""

import base64
import json

from liqo.api.meta import Wire


def forge_kubeconfig(*, name: str, server: str, ca: str, certificate: str, key: str, namespace: str) -> str:
    """Return a kubeconfig with a client certificate, as JSON, which is YAML too.

    Args:
        name: of cluster, context and, with "-admin" or the like, nothing else.
        server: https URL.
        ca, certificate, key: PEM.
        namespace: the default one.
    """
    user = {"client-certificate-data": _base64(certificate), "client-key-data": _base64(key)}
    return _forge(name, server, ca, user, namespace)


def forge_token_kubeconfig(*, name: str, server: str, ca: str, token: str) -> str:
    """Return a kubeconfig with a token."""
    return _forge(name, server, ca, {"token": token}, "default")


def _forge(name: str, server: str, ca: str, user: Wire, namespace: str) -> str:
    value = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": name, "cluster": {"server": server, "certificate-authority-data": _base64(ca)}}
        ],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": namespace}}],
        "current-context": name,
    }
    return json.dumps(value, indent=2) + "\n"


def _base64(pem: str) -> str:
    return base64.b64encode(pem.encode()).decode()
