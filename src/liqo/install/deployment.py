"""The controller as a pod of the cluster; pure."""

from liqo.api.kinds import DEPLOYMENT, SERVICE
from liqo.api.meta import Wire
from liqo.api.names import CONTROLLER, DOOR_PORT, KUBELET_PORT, KUBELET_SERVICE
from liqo.api.rights import Objects, forge_object
from liqo.install.webhook import WEBHOOK_PORT, WEBHOOK_SERVICE

METRICS_SERVICE = "liqo-metrics"
HEALTH_PORT = 8080
NOBODY = 65_534
SELECTOR = {"app.kubernetes.io/name": CONTROLLER}


def forge_deployment(ns: str, image: str, *, door: bool = True) -> Objects:
    """Return the Deployment, and the Services of its webhook, its metrics and its kubelet endpoint."""
    spec: Wire = {
        "replicas": 1,
        "selector": {"matchLabels": SELECTOR},
        "template": {"metadata": {"labels": SELECTOR}, "spec": _pod(ns, image, door=door)},
    }
    return [
        (SERVICE, _service(ns, WEBHOOK_SERVICE, "webhook", WEBHOOK_PORT)),
        (SERVICE, _service(ns, METRICS_SERVICE, "health", HEALTH_PORT)),
        # Each replica counts what pods use for itself, so that who asks again has to meet the same one.
        (SERVICE, _service(ns, KUBELET_SERVICE, "kubelet", KUBELET_PORT, sessionAffinity="ClientIP")),
        (DEPLOYMENT, forge_object(DEPLOYMENT, CONTROLLER, ns, labels=SELECTOR, spec=spec)),
    ]


def _pod(ns: str, image: str, *, door: bool) -> Wire:
    ports: list[Wire] = [
        {"name": "webhook", "containerPort": WEBHOOK_PORT},
        {"name": "health", "containerPort": HEALTH_PORT},
        {"name": "kubelet", "containerPort": KUBELET_PORT},
    ]
    if door:
        ports.append({"name": "door", "containerPort": DOOR_PORT, "hostPort": DOOR_PORT})
    return {
        "serviceAccountName": CONTROLLER,
        "terminationGracePeriodSeconds": 10,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": NOBODY,
            "runAsGroup": NOBODY,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "controller",
                "image": image,
                "command": ["liqo", "controller", "--namespace", ns, *([] if door else ["--no-door"])],
                "env": [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                "ports": ports,
                "livenessProbe": _probe("/healthz", 10),
                "readinessProbe": _probe("/readyz", 2),
                "resources": {
                    "requests": {"cpu": "50m", "memory": "100Mi"},
                    "limits": {"memory": "512Mi"},  # twice what 128 peers with 1,000 pods may take
                },
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
    }


def _probe(path: str, period: int) -> Wire:
    return {"httpGet": {"path": path, "port": "health"}, "periodSeconds": period}


def _service(ns: str, name: str, port_name: str, port: int, **more: str) -> Wire:
    return forge_object(
        SERVICE,
        name,
        ns,
        spec={
            "selector": SELECTOR,
            "ports": [{"name": port_name, "port": port, "targetPort": port_name}],
            **more,
        },
    )
