"""What goes over when a pod changes at home while it runs abroad; pure.

A pod's labels, annotations, images and deadline may change, and nothing else that would mean anything there (core/v1,
pods update). Labels and annotations that somebody abroad gave it stay.
"""

from liqo.api.meta import Wire
from liqo.api.names import HOME_FORM_ANNOTATION, HOME_LABELS_ANNOTATION
from liqo.node.forge_pod import forge_metadata

HOME_PREFIX = "liqo.io/home-"
GROUPS = ("initContainers", "containers")


def is_current(home: Wire, remote: Wire) -> bool:
    """Return whether a pod on foreign was made, or last changed, from the pod at home as it is now."""
    metadata = forge_metadata(home, remote["metadata"]["namespace"])
    return bool(metadata["annotations"][HOME_FORM_ANNOTATION] == told_form(remote))


def told_form(remote: Wire) -> str:
    """Return which form of its pod at home one on foreign has; "" if nobody wrote that down."""
    found = (remote["metadata"].get("annotations") or {}).get(HOME_FORM_ANNOTATION, "")
    return found if isinstance(found, str) else ""


def forge_change(home: Wire, remote: Wire) -> Wire:
    """Return the merge patch that brings the pod on foreign to what the pod at home became.

    Args:
        home: the pod there.
        remote: the whole pod on foreign, as it was just read; the patch is for that version only.
    """
    fresh, have = forge_metadata(home, remote["metadata"]["namespace"]), remote["metadata"]
    annotations = have.get("annotations") or {}
    sent = filter(None, annotations.get(HOME_LABELS_ANNOTATION, "").split(","))
    metadata = {
        "resourceVersion": have["resourceVersion"],
        "labels": dict.fromkeys(sent) | (fresh.get("labels") or {}),
        "annotations": dict.fromkeys(filter(_is_home_s, annotations)) | fresh["annotations"],
    }
    spec: Wire = {"activeDeadlineSeconds": home["spec"].get("activeDeadlineSeconds")}
    for group in GROUPS:
        if there := remote["spec"].get(group):
            images = {c["name"]: c["image"] for c in home["spec"].get(group) or ()}
            spec[group] = [{**c, "image": images.get(c["name"], c["image"])} for c in there]
    return {"metadata": metadata, "spec": spec}


def _is_home_s(annotation: str) -> bool:
    """Return whether an annotation came from home: tools of a cluster give theirs a prefix."""
    return "/" not in annotation or annotation.startswith(HOME_PREFIX)
