"""What is kept of objects that are watched in crowds."""

from collections.abc import Callable, Mapping
from hashlib import sha256

import orjson

from liqo.api.kinds import CONFIG_MAP, EVENT, POD, SECRET
from liqo.api.meta import Kind, Wire
from liqo.api.names import HOME_ANNOTATIONS, MANAGED_LABEL

METADATA = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)
CONTENT = ("data", "binaryData", "immutable", "type")
DIGEST = "digest"  # where the content of a ConfigMap or Secret was


def prune_pod(pod: Wire) -> Wire:
    """Keep of a pod on foreign whom it stands for and how it is."""
    return {"metadata": _metadata(pod), "status": pod.get("status") or {}}


def prune_content(obj: Wire) -> Wire:
    """Keep of a ConfigMap or Secret a digest of what is in it, and what it cannot change into."""
    content = {name: obj[name] for name in CONTENT if obj.get(name)}
    kept: Wire = {"metadata": _metadata(obj)}
    kept |= {name: content[name] for name in ("immutable", "type") if name in content}
    kept[DIGEST] = sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return kept


def prune_event(event: Wire) -> Wire:
    """Keep of an event what is told of it."""
    fields = ("involvedObject", "reason", "message", "type", "count", "lastTimestamp", "eventTime")
    return {"metadata": _metadata(event), **{name: event[name] for name in fields if event.get(name)}}


def _metadata(obj: Wire) -> Wire:
    metadata = obj["metadata"]
    kept: Wire = {name: metadata[name] for name in METADATA if name in metadata}
    annotations = metadata.get("annotations") or {}
    if told := {name: text for name, text in annotations.items() if name in HOME_ANNOTATIONS}:
        kept["annotations"] = told
    labels = metadata.get("labels") or {}
    if MANAGED_LABEL in labels:
        kept["labels"] = {MANAGED_LABEL: labels[MANAGED_LABEL]}
    return kept


PRUNES: Mapping[Kind, Callable[[Wire], Wire]] = {
    POD: prune_pod,
    CONFIG_MAP: prune_content,
    SECRET: prune_content,
    EVENT: prune_event,
}
"""By kind; the others are kept whole."""
