"""Everything that `liqo install` brings, in order, and that `liqo uninstall` takes away; pure."""

from dataclasses import dataclass
from typing import Literal

from liqo.api.crd import forge_crds
from liqo.api.kinds import (
    CLUSTER_CONFIG,
    CONFIG_MAP,
    CUSTOM_RESOURCE_DEFINITION,
    MUTATING_WEBHOOK,
    NAMESPACE,
    VALIDATING_WEBHOOK,
)
from liqo.api.meta import Key, Kind, Wire
from liqo.api.names import CONFIG_NAME, MANAGED_LABEL, TRUSTED_CA_CONFIG_MAP
from liqo.api.rights import forge_object
from liqo.install.deployment import forge_deployment
from liqo.install.flow import forge_flow
from liqo.install.lan import forge_lan_deployment, forge_lan_rights
from liqo.install.magnet import forge_magnet
from liqo.install.policies import forge_policies
from liqo.install.rights import forge_rights
from liqo.install.webhook import Endpoint, Service, forge_webhook

PART_LABEL = "app.kubernetes.io/part-of"

RequestPolicy = Literal["Accept", "Manual", "Deny"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Install:
    """What differs from one installation to the next.

    Args:
        namespace: Liqo's own.
        webhook: where the controller answers admission reviews.
        request_policy: what happens to requests of strangers; written openly, so that its owner sees it.
        image: of the controller; None where it does not run in the cluster.
        lan: whether there is a LAN agent: its rights, and its pod where Liqo runs in the cluster.
        door: whether a controller in the cluster opens a door where the API server lets no stranger in.
    """

    namespace: str
    webhook: Endpoint
    request_policy: RequestPolicy
    image: str | None = None
    lan: bool = True
    door: bool = True


@dataclass(frozen=True, slots=True)
class Manifest:
    """One object to apply; with `once` it is created, and left alone if it is there: its owner edits it."""

    kind: Kind
    obj: Wire
    once: bool = False


def forge_manifests(install: Install) -> list[Manifest]:
    """Return all objects in the order in which they are applied; each names us in its labels."""
    ns = install.namespace
    found = [
        Manifest(NAMESPACE, forge_object(NAMESPACE, ns)),
        *(Manifest(CUSTOM_RESOURCE_DEFINITION, crd) for crd in forge_crds()),
        *(Manifest(kind, obj) for kind, obj in forge_policies(ns)),
        *(Manifest(kind, obj) for kind, obj in forge_flow(ns)),
        Manifest(VALIDATING_WEBHOOK, forge_webhook(ns, install.webhook)),
        Manifest(MUTATING_WEBHOOK, forge_magnet(ns, install.webhook)),
        Manifest(CONFIG_MAP, forge_object(CONFIG_MAP, TRUSTED_CA_CONFIG_MAP, ns), once=True),
        Manifest(CLUSTER_CONFIG, _config(install.request_policy), once=True),
        *(Manifest(kind, obj) for kind, obj in forge_rights(ns)),
    ]
    if install.lan:
        found += [Manifest(kind, obj) for kind, obj in forge_lan_rights(ns)]
    if install.image is not None:
        found += [Manifest(kind, obj) for kind, obj in forge_deployment(ns, install.image, door=install.door)]
    if install.image is not None and install.lan:
        found += [Manifest(kind, obj) for kind, obj in forge_lan_deployment(ns, install.image)]
    return [Manifest(m.kind, _labelled(m.obj), m.once) for m in found]


def forge_left_out(install: Install) -> list[tuple[Kind, Key]]:
    """Return what an earlier installation may have brought and this one does without, in the order of its deletion.

    The LAN agent's policies stay: they only refuse.
    """
    return [] if install.lan else forge_finders_removal(install.namespace)


def forge_finders_removal(namespace: str) -> list[tuple[Kind, Key]]:
    """Return what the LAN agent needs to find clusters, in the order of its deletion."""
    agent = [*forge_lan_rights(namespace), *forge_lan_deployment(namespace, "-")]
    return [(kind, Key.of(obj)) for kind, obj in reversed(agent)]


def forge_removal(namespace: str) -> list[tuple[Kind, Key]]:
    """Return what is deleted, in order: what runs, then rights and rules, CRDs and the namespace last.

    It names all that any installation brings; what is not there is gone already.
    """
    everything = Install(namespace=namespace, webhook=Service(), request_policy="Manual", image="-")
    return [(m.kind, Key.of(m.obj)) for m in reversed(forge_manifests(everything))]


def _config(policy: RequestPolicy) -> Wire:
    return forge_object(CLUSTER_CONFIG, CONFIG_NAME, spec={"peeringConfig": {"requestPolicy": policy}})


def _labelled(obj: Wire) -> Wire:
    metadata = obj["metadata"]
    labels = {MANAGED_LABEL: "liqo", PART_LABEL: "liqo", **metadata.get("labels", {})}
    return {**obj, "metadata": {**metadata, "labels": labels}}
