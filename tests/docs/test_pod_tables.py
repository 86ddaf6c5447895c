"""The page about pods names all that an API server knows of them, and says of each field what becomes of it."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from liqo.api.meta import Wire
from liqo.errors import Refused
from liqo.lab.lab import Lab
from liqo.node.forge_pod import AS_THEY_ARE, OF_A_CONTAINER, check, forge_pod
from pod_cases import CASES
from verb_cases import PODS, VERBS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "pods.md"
SCHEMAS = ("io.k8s.api.core.v1.", "io.k8s.apimachinery.pkg.apis.meta.v1.")
KINDS = (
    "PodSpec",
    "Container",
    "ContainerPort",
    "VolumeMount",
    "EnvFromSource",
    "EnvVarSource",
    "Probe",
    "Lifecycle",
    "LifecycleHandler",
    "PodSecurityContext",
    "SecurityContext",
    "Volume",
    "PodStatus",
    "ContainerStatus",
    "ObjectMeta",
)
WORDS = {"the same", "at home", "left out", "refused", "not seen"}
GOES = {"the same", "not seen"}


@cache
def rows(kind: str) -> dict[str, tuple[str, str]]:
    """Return what the page says of each field of a kind: the word, and the rest."""
    section = PAGE.read_text().split(f"\n## {kind}\n", 1)[1].split("\n## ", 1)[0]
    found: dict[str, tuple[str, str]] = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 3 and cells[0] not in {"field", "verb", "---"}:
            found |= dict.fromkeys(cells[0].split(", "), (cells[1], cells[2]))
    return found


def said(kind: str, *words: str) -> list[str]:
    return [name for name, (word, _) in rows(kind).items() if word in words]


@pytest.mark.lab
@pytest.mark.parametrize("kind", KINDS)
def test_all_fields_that_an_api_server_knows_are_named(plane: Lab, kind: str) -> None:
    schemas = json.loads(plane.kubectl("rome", "get", "--raw", "/openapi/v3/api/v1"))["components"]["schemas"]
    (schema,) = (schemas[each + kind] for each in SCHEMAS if each + kind in schemas)
    assert set(schema["properties"]) - set(rows(kind)) == set()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_the_same_names_the_pods_that_show_it(kind: str) -> None:
    for name, (word, rest) in rows(kind).items():
        named = set(re.findall(r"`([a-z-]+)`", rest)) & set(CASES)
        assert word in WORDS, name
        assert named or word != "the same" or "below" in rest or "all pods" in rest or "podIP" in name, name


def test_no_two_pods_have_one_name() -> None:
    assert {pod["metadata"]["name"] for pod in PODS} & set(CASES) == set()


def test_every_pod_is_named() -> None:
    named = {n for kind in KINDS for _, rest in rows(kind).values() for n in re.findall(r"`([a-z-]+)`", rest)}
    assert set(CASES) - named == set()


@pytest.mark.lab
def test_all_verbs_of_kubectl_are_named(plane: Lab) -> None:
    groups = plane.kubectl("rome", "--help").split("\n\n")
    own = [group for group in groups if "Commands" in group.split("\n", 1)[0]]
    verbs = {verb for group in own for verb in re.findall(r"^  ([a-z-]+) ", group, re.MULTILINE)}
    assert {"get", "exec", "version"} <= verbs
    assert verbs - set(rows("kubectl verbs")) == set()


def test_each_use_of_a_verb_is_named_and_does_what_the_page_says() -> None:
    table = rows("kubectl verbs")
    assert {word for word, _ in table.values()} <= WORDS
    named = {verb: set(re.findall(r"`([a-z-]+)`", rest)) & set(VERBS) for verb, (_, rest) in table.items()}
    assert set(VERBS) - set().union(*named.values()) == set()
    shown = {verb for verb, (_, rest) in table.items() if named[verb] or "](" in rest}
    assert {verb for verb, (word, _) in table.items() if word in {"the same", "refused"}} - shown == set()


def test_what_goes_over_is_what_the_page_says() -> None:
    assert set(said("PodSpec", *GOES)) == {*AS_THEY_ARE, "containers", "initContainers", "volumes"}
    assert set(said("Container", *GOES)) == set(OF_A_CONTAINER) - {"volumeDevices"}


@pytest.mark.parametrize("name", said("PodSpec", "at home", "left out"))
def test_what_stays_at_home_does_not_go_over(name: str) -> None:
    value: Any = {"x": "y"} if name in {"nodeSelector", "affinity", "overhead"} else [{"x": "y"}]
    forged = forge_pod(_pod(**{name: value}), "there")["spec"]
    assert forged.get(name) in (None, False)


@pytest.mark.parametrize("name", said("PodSpec", "refused"))
def test_what_is_refused_is_refused_by_name(name: str) -> None:
    with pytest.raises(Refused, match=name if name != "ephemeralContainers" else "ephemeral"):
        check(_pod(**{name: [{"name": "x"}]})["spec"])


@pytest.mark.parametrize("kind", said("Volume", "refused"))
def test_a_volume_that_is_refused_is_refused_by_name(kind: str) -> None:
    with pytest.raises(Refused, match=kind):
        check(_pod(volumes=[{"name": "x", kind: {}}])["spec"])


def _pod(**spec: Any) -> Wire:
    metadata = {"name": "web", "namespace": "shop", "uid": "u"}
    return {"metadata": metadata, "spec": {"containers": [{"name": "web", "image": "web:1"}], **spec}}
