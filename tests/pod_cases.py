"""Pods that show what a field of the Pod API does, the same on any node; what each says is compared between nodes.

The page docs/reference/pods.md says which one is about which field.
"""

from dataclasses import dataclass, field
from typing import Any

from liqo.lab.image import IMAGE

CONFIG = "content"  # a ConfigMap and a Secret of that name: color=red, word=sesame
MOUNT = "/etc/told"


@dataclass(frozen=True, slots=True)
class Case:
    """One pod.

    Attributes:
        script: of its first container; what that says, and how it ends, is compared.
        container: more of its first container.
        spec: more of its spec; `containers` are added to the first one.
        labels: of the pod.
        waits: whether it is never over: what it waits for is compared.
    """

    script: str = "true"
    container: dict[str, Any] = field(default_factory=dict)
    spec: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    waits: bool = False

    def forge(self, **spec: Any) -> dict[str, Any]:
        """Return the spec of the pod, with what pins it to a node."""
        first = {"name": "main", "image": IMAGE, "command": ["sh", "-c", self.script], **self.container}
        more = self.spec.get("containers", [])
        base = {"restartPolicy": "Never", "automountServiceAccountToken": False}
        return {**base, **self.spec, "containers": [first, *more], **spec}


def _volume(**source: Any) -> dict[str, Any]:
    return {"volumes": [{"name": "told", **source}]}


def _mounted(**more: Any) -> dict[str, Any]:
    return {"volumeMounts": [{"name": "told", "mountPath": MOUNT, **more}]}


def _probe(command: str, **more: Any) -> dict[str, Any]:
    base = {"periodSeconds": 1, "timeoutSeconds": 30, "failureThreshold": 1}
    return {"exec": {"command": ["sh", "-c", command]}, **base, **more}


_READ = (
    f"cd {MOUNT}; for f in $(find . -follow -type f | grep -v '/\\.\\.' | sort); do echo $f: $(cat $f); done"
)
_SERVE = "cd /tmp; touch ready bye said; httpd -f -vv -p 8080 2>/tmp/said &"
_ASK = [
    {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
    for name, path in {
        "NAME": "metadata.name",
        "TIER": "metadata.labels['tier']",
        "ACCOUNT": "spec.serviceAccountName",
        "NODE": "spec.nodeName",
        "NAMESPACE": "metadata.namespace",
    }.items()
]

CASES: dict[str, Case] = {
    # What a container is.
    "command": Case(
        container={"command": ["echo"], "args": ["$(A)", "b c"], "env": [{"name": "A", "value": "a"}]},
    ),
    "folder": Case("pwd", {"workingDir": "/tmp"}),
    "env": Case(
        "env | grep '^S_' | sort",
        {
            "env": [
                {"name": "S_A", "value": "plain"},
                {"name": "S_B", "value": "$(S_A) and more"},
                {"name": "S_C", "valueFrom": {"configMapKeyRef": {"name": CONFIG, "key": "color"}}},
                {"name": "S_D", "valueFrom": {"secretKeyRef": {"name": CONFIG, "key": "word"}}},
                {
                    "name": "S_E",
                    "valueFrom": {"configMapKeyRef": {"name": "none", "key": "x", "optional": True}},
                },
            ]
        },
    ),
    "env-from": Case(
        "env | grep '^F_' | sort",
        {
            "envFrom": [
                {"prefix": "F_", "configMapRef": {"name": CONFIG}},
                {"prefix": "F_S_", "secretRef": {"name": CONFIG}},
            ]
        },
    ),
    "asks": Case(
        'echo "$NAME $TIER $ACCOUNT $NODE $NAMESPACE $CPU $MEMORY"',
        {
            "env": [
                *_ASK,
                {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
                {"name": "MEMORY", "valueFrom": {"resourceFieldRef": {"resource": "requests.memory"}}},
            ],
            "resources": {
                "limits": {"cpu": "2", "memory": "64Mi"},
                "requests": {"cpu": "10m", "memory": "32Mi"},
            },
        },
        labels={"tier": "front"},
    ),
    "env-file": Case(
        "echo $COLOR",
        {
            "env": [
                {
                    "name": "COLOR",
                    "valueFrom": {"fileKeyRef": {"volumeName": "told", "path": "env", "key": "COLOR"}},
                }
            ]
        },
        {
            **_volume(emptyDir={}),
            "initContainers": [
                {
                    "name": "writes",
                    "image": IMAGE,
                    "command": ["sh", "-c", f"echo \"COLOR='red'\" > {MOUNT}/env"],
                    **_mounted(),
                }
            ],
        },
    ),
    "ports": Case(container={"ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}]}),
    "probes": Case(
        f"{_SERVE} until grep -q url:/ready /tmp/said; do sleep 0.1; done; echo was asked",
        {
            "ports": [{"name": "http", "containerPort": 8080}],
            "startupProbe": {"tcpSocket": {"port": "http"}, "periodSeconds": 1, "failureThreshold": 60},
            "readinessProbe": {
                "httpGet": {
                    "path": "/ready",
                    "port": "http",
                    "scheme": "HTTP",
                    "httpHeaders": [{"name": "Accept", "value": "*/*"}],
                },
                "initialDelaySeconds": 1,
                "periodSeconds": 1,
                "successThreshold": 2,
                "timeoutSeconds": 2,
            },
        },
    ),
    "terminal": Case(
        "test -t 1 && echo a terminal",
        {"tty": True, "stdin": True, "stdinOnce": True},
    ),
    "message": Case(
        "echo why > /tmp/why; exit 4",
        {"terminationMessagePath": "/tmp/why", "terminationMessagePolicy": "FallbackToLogsOnError"},
    ),
    "pull": Case(container={"image": "liqo.lab/none:1", "imagePullPolicy": "Never"}, waits=True),
    # How it begins, lives and ends.
    "init": Case(
        _READ,
        _mounted(),
        {
            **_volume(emptyDir={}),
            "initContainers": [
                {
                    "name": name,
                    "image": IMAGE,
                    "command": ["sh", "-c", f"echo {name} >> {MOUNT}/order"],
                    **_mounted(),
                }
                for name in ("first", "second")
            ],
        },
    ),
    "sidecar": Case(
        _READ,
        _mounted(),
        {
            **_volume(emptyDir={}),
            "initContainers": [
                {
                    "name": "sidecar",
                    "image": IMAGE,
                    "restartPolicy": "Always",
                    "command": [
                        "sh",
                        "-c",
                        f"echo is there > {MOUNT}/sidecar; trap 'exit 0' TERM; while sleep 1; do :; done",
                    ],
                    "startupProbe": _probe(f"test -e {MOUNT}/sidecar", failureThreshold=30),
                    **_mounted(),
                }
            ],
        },
    ),
    "restart": Case(
        f"echo again >> {MOUNT}/times; test $(wc -l < {MOUNT}/times) = 2",
        _mounted(),
        {**_volume(emptyDir={}), "restartPolicy": "OnFailure"},
    ),
    "rules": Case(
        f"echo again >> {MOUNT}/times; test $(wc -l < {MOUNT}/times) = 2 || exit 42",
        {
            **_mounted(),
            "restartPolicy": "Never",
            "restartPolicyRules": [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}],
        },
        _volume(emptyDir={}),
    ),
    "deadline": Case(
        "sleep 600",
        spec={"activeDeadlineSeconds": 2, "terminationGracePeriodSeconds": 0},
    ),
    "hook": Case(
        f"until test -s {MOUNT}/hook; do sleep 0.1; done; {_READ}",
        {
            **_mounted(),
            "lifecycle": {"postStart": {"exec": {"command": ["sh", "-c", f"echo was here > {MOUNT}/hook"]}}},
        },
        _volume(emptyDir={}),
    ),
    "grace": Case(
        "trap 'echo told to stop; exit 3' TERM; sleep 600 & wait",
        {"livenessProbe": _probe("false", terminationGracePeriodSeconds=5)},
    ),
    "pre-stop": Case(
        "trap 'echo told to stop; exit 3' TERM; sleep 600 & wait",
        {
            "livenessProbe": _probe("false"),
            "lifecycle": {"preStop": {"exec": {"command": ["sh", "-c", "echo first >/proc/1/fd/1"]}}},
        },
    ),
    "pre-stop-asks": Case(
        f"trap 'grep -o url:/bye /tmp/said; exit 3' TERM; {_SERVE} wait",
        {
            "livenessProbe": _probe("! test -e /tmp/bye", initialDelaySeconds=2),
            "lifecycle": {
                "postStart": {"sleep": {"seconds": 1}},
                "preStop": {"httpGet": {"path": "/bye", "port": 8080}},
            },
        },
    ),
    "not-ready": Case(
        "sleep 600",
        {"readinessProbe": _probe("false")},
        {"terminationGracePeriodSeconds": 0},
        waits=True,
    ),
    "gate": Case(
        "sleep 600",
        spec={"readinessGates": [{"conditionType": "example.org/lit"}], "terminationGracePeriodSeconds": 0},
        waits=True,
    ),
    "held": Case(spec={"schedulingGates": [{"name": "example.org/later"}]}, waits=True),
    # Who it is.
    "name": Case("hostname", spec={"hostname": "shop", "subdomain": "front"}),
    "override": Case("hostname", spec={"hostnameOverride": "shop.example.org"}),
    "aliases": Case(
        "grep 192.0.2.7 /etc/hosts",
        spec={"hostAliases": [{"ip": "192.0.2.7", "hostnames": ["far", "away"]}]},
    ),
    "dns": Case(
        "cat /etc/resolv.conf",
        spec={
            "dnsPolicy": "None",
            "dnsConfig": {
                "nameservers": ["192.0.2.53"],
                "searches": ["example.org"],
                "options": [{"name": "ndots", "value": "2"}],
            },
        },
    ),
    "links": Case("env | grep -c '^CONTENT_SERVICE_HOST='", spec={"enableServiceLinks": True}),
    "no-links": Case("env | grep -c '^CONTENT_SERVICE_HOST='", spec={"enableServiceLinks": False}),
    "os": Case("uname", spec={"os": {"name": "linux"}}),
    "together": Case("ps -o args | grep -cx '/bin/sleep infinity'", spec={"shareProcessNamespace": True}),
    # What it may.
    "user": Case(
        f"id -u; id -g; id -G; stat -c %g {MOUNT}",
        _mounted(),
        {
            **_volume(emptyDir={}),
            "securityContext": {
                "runAsUser": 1007,
                "runAsGroup": 1008,
                "fsGroup": 1009,
                "fsGroupChangePolicy": "OnRootMismatch",
                "supplementalGroups": [1010],
                "supplementalGroupsPolicy": "Merge",
            },
        },
    ),
    "user-of-container": Case(
        "id -u; id -g",
        {"securityContext": {"runAsUser": 1011, "runAsGroup": 1012}},
    ),
    "no-root": Case(spec={"securityContext": {"runAsNonRoot": True}}, waits=True),
    "no-root-of-container": Case(container={"securityContext": {"runAsNonRoot": True}}, waits=True),
    "kernel": Case(
        "cat /proc/sys/net/ipv4/ip_unprivileged_port_start",
        spec={
            "securityContext": {"sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "77"}]}
        },
    ),
    "calls": Case(
        "grep ^Seccomp: /proc/self/status",
        spec={"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}},
    ),
    "calls-of-container": Case(
        "grep ^Seccomp: /proc/self/status",
        {"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}},
    ),
    "bounded": Case(
        "grep -E '^(CapEff|NoNewPrivs)' /proc/self/status; touch /new 2>/dev/null || echo read only",
        {
            "securityContext": {
                "capabilities": {"drop": ["ALL"]},
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "procMount": "Default",
            }
        },
    ),
    # What it holds.
    "config": Case(
        _READ,
        _mounted(readOnly=True, recursiveReadOnly="IfPossible"),
        _volume(configMap={"name": CONFIG, "items": [{"key": "color", "path": "a/b", "mode": 0o400}]}),
    ),
    "config-optional": Case(
        f"ls {MOUNT} | wc -l",
        _mounted(mountPropagation="HostToContainer"),
        _volume(configMap={"name": "none", "optional": True}),
    ),
    "secret": Case(
        f"{_READ}; stat -L -c %a {MOUNT}/word",
        _mounted(),
        _volume(secret={"secretName": CONFIG, "defaultMode": 0o440}),
    ),
    "one-file": Case(f"cat {MOUNT}", _mounted(subPath="color"), _volume(configMap={"name": CONFIG})),
    "own-folder": Case(
        f"echo x > {MOUNT}/y; ls {MOUNT}",
        {**_mounted(subPathExpr="$(NAME)"), "env": _ASK[:1]},
        _volume(emptyDir={}),
    ),
    "memory": Case(
        f"df -k {MOUNT} | tail -1 | awk '{{print $1, $2}}'",
        _mounted(),
        _volume(emptyDir={"medium": "Memory", "sizeLimit": "8Mi"}),
    ),
    "all-in-one": Case(
        _READ,
        _mounted(),
        _volume(
            projected={
                "sources": [
                    {"configMap": {"name": CONFIG}},
                    {"secret": {"name": CONFIG, "items": [{"key": "word", "path": "secret/word"}]}},
                    {
                        "downwardAPI": {
                            "items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]
                        }
                    },
                ]
            }
        ),
    ),
    "downward": Case(
        _READ,
        _mounted(),
        _volume(
            downwardAPI={
                "items": [
                    {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
                    {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}},
                ]
            }
        ),
        {"tier": "front"},
    ),
    # How much.
    "limits": Case("tail /dev/zero", {"resources": {"limits": {"memory": "24Mi", "cpu": "500m"}}}),
    "limits-of-pod": Case(
        spec={
            "resources": {
                "limits": {"memory": "64Mi", "cpu": "1"},
                "requests": {"memory": "32Mi", "cpu": "10m"},
            }
        },
    ),
    "no-token": Case("ls /var/run/secrets/kubernetes.io 2>&1 | wc -l"),
    "several": Case(
        "echo one",
        spec={"containers": [{"name": "other", "image": IMAGE, "command": ["sh", "-c", "echo two; exit 9"]}]},
    ),
}
"""By the pod's name."""
