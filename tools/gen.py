"""Writes what is made from code: chart/crds and docs/reference. Run it by `make gen`; a test says when it is due.

Pages say what the code says and nothing else, so that they cannot be wrong.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer.main
import yaml

from liqo.api.cluster_config import ClusterConfigSpec
from liqo.api.crd import forge_crds
from liqo.api.kinds import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, ROLE, ROLE_BINDING
from liqo.api.meta import Wire
from liqo.api.names import NAMESPACE
from liqo.api.reasons import ConditionType, Reason
from liqo.api.rights import forge_peer_rights, forge_tenant_rights
from liqo.cli.root import app
from liqo.install.policies import policies
from liqo.install.rights import forge_rights
from liqo.runtime.metrics import describe

ROOT = Path(__file__).parent.parent
MADE = "<!-- Made by `make gen`; do not edit. -->\n\n"


def generate() -> dict[str, str]:
    """Return every generated file by its path from the root of the project."""
    crds = forge_crds()
    files = {f"chart/crds/{crd['metadata']['name']}.yaml": format_yaml(crd) for crd in crds}
    files["docs/reference/crds.md"] = crd_page(crds)
    files["docs/reference/reasons.md"] = reasons_page()
    files["docs/reference/metrics.md"] = metrics_page()
    files["docs/reference/cli.md"] = cli_page()
    files["docs/reference/rights.md"] = rights_page()
    return files


def format_yaml(obj: Wire) -> str:
    """Return an object as YAML, in the order in which it was forged."""
    text: str = yaml.safe_dump(obj, sort_keys=False, width=110)
    return f"# Made by `make gen`; do not edit.\n{text}"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [columns, ["---"] * len(columns), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def crd_page(crds: Sequence[Wire]) -> str:
    """Return the kinds and all their fields."""
    text = MADE + "# Kinds\n"
    defaults = {"ClusterConfig": {"spec": ClusterConfigSpec().model_dump(by_alias=True)}}
    for crd in crds:
        spec = crd["spec"]
        (version,) = spec["versions"]
        names = ", ".join(
            f"`{name}`" for name in (spec["names"]["plural"], *spec["names"].get("shortNames", ()))
        )
        known = defaults.get(spec["names"]["kind"], {})
        schema = version["schema"]["openAPIV3Schema"]
        text += (
            f"\n## {spec['names']['kind']}\n\n`{spec['group']}/{version['name']}`, {spec['scope']}; {names}. "
        )
        text += f"{schema.get('description', '')}\n\n"
        rows = [
            row
            for part in ("spec", "status")
            if part in schema["properties"]
            for row in _fields(part, schema["properties"][part], known.get(part, {}))
        ]
        text += table(("field", "type", "bounds", *(["default"] if known else [])), rows)
    return text


def _fields(path: str, schema: Wire, defaults: Wire) -> Iterator[tuple[str, ...]]:
    """Yield the fields below a field; with a column for defaults where those are known."""
    for name, field in schema.get("properties", {}).items():
        where, default = f"{path}.{name}", defaults.get(name)
        shown = "" if default in (None, {}, []) or "properties" in field else f"`{json.dumps(default)}`"
        yield f"`{where}`", _type(field), _bounds(field), *((shown,) if defaults else ())
        yield from _fields(where, field, default if defaults and isinstance(default, dict) else {})
        if field.get("type") == "array":
            yield from _fields(f"{where}[]", field["items"], {})


def _type(field: Wire) -> str:
    if field.get("type") == "array":
        return f"list of {_type(field['items'])}"
    if isinstance(field.get("additionalProperties"), Mapping):
        return f"map to {_type(field['additionalProperties'])}"
    return str(field.get("format") or field.get("type", ""))


def _bounds(field: Wire) -> str:
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    words = {
        "minimum": "at least {}",
        "maximum": "at most {}",
        "minLength": "at least {} characters",
        "maxLength": "at most {} characters",
        "maxItems": "at most {}",
        "maxProperties": "at most {}",
        "pattern": "`{}`",
    }
    return ", ".join(form.format(field[name]) for name, form in words.items() if name in field)


def reasons_page() -> str:
    """Return the conditions of a ForeignCluster and all reasons."""
    text = MADE + "# Conditions and reasons\n\n`kubectl describe fc NAME` shows them.\n\n## Conditions\n\n"
    text += table(("condition", "when it is True"), [(f"`{c}`", c.sentence) for c in ConditionType])
    text += "\n## Reasons\n\n"
    return text + table(("reason", "what it means"), [(f"`{r}`", r.sentence) for r in Reason])


def metrics_page() -> str:
    """Return all metrics."""
    text = MADE + "# Metrics\n\nThe controller serves them on port 8080, path `/metrics`.\n\n"
    rows = [
        (f"`{name}`", form, ", ".join(f"`{label}`" for label in labels), meaning)
        for name, form, labels, meaning in describe()
    ]
    return text + table(("metric", "type", "labels", "meaning"), rows)


def cli_page() -> str:
    """Return every command with its arguments and options."""
    root: Any = typer.main.get_command(app)
    text = MADE + "# Commands\n\n`liqo` is also `kubectl liqo`. `-o json` wherever a table is printed. "
    text += "Exit code 0: done, 1: something is wrong, the last line says what to do, 2: wrong usage.\n"
    return text + "".join(_commands("liqo", root))


def _commands(path: str, command: Any) -> Iterator[str]:
    """Yield the page of a command, or of all commands below a group."""
    if hasattr(command, "commands"):
        for name in sorted(command.commands):
            yield from _commands(f"{path} {name}", command.commands[name])
        return
    if command.hidden:
        return
    parameters = [p for p in command.params if not getattr(p, "hidden", False) and p.name != "help"]
    arguments = "".join(f" {_argument(p)}" for p in parameters if p.param_type_name == "argument")
    yield f"\n## {path}{arguments}\n\n{_dedent(command.help or '')}\n"
    rows = [(_names(p), _default(p), getattr(p, "help", None) or "") for p in parameters]
    if rows:
        yield "\n" + table(("option", "default", "meaning"), rows)


def _dedent(text: str) -> str:
    """Return a docstring as Markdown, its example as code."""
    lines = [line.strip() for line in text.replace("\f", "").strip().splitlines()]
    marked = (
        f"`{line.removeprefix('Example: ')}`" if line.startswith("Example: ") else line for line in lines
    )
    return "\n".join(marked)


def _argument(parameter: Any) -> str:
    name = (parameter.metavar or parameter.name).upper()
    return name if parameter.required else f"[{name}]"


def _names(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{_argument(parameter)}`"
    names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    return f"{names} (`${parameter.envvar}`)" if parameter.envvar else names


def _default(parameter: Any) -> str:
    default = parameter.default
    if default is None or callable(default) or default == "" or "UNSET" in repr(default).upper():
        return ""
    choice = getattr(default, "value", default)
    if isinstance(choice, bool):
        return "yes" if choice else "no"
    return f"`{choice}`"


def rights_page() -> str:
    """Return who may do what, and what policies add to that."""
    text = MADE + "# Rights\n\n"
    text += "Everything that `liqo install` allows, for Liqo in the namespace `liqo`. Nothing says `*`.\n"
    rights = forge_rights(NAMESPACE)
    subjects: dict[tuple[str, str], list[str]] = {}
    for kind, obj in rights:
        if kind in {ROLE_BINDING, CLUSTER_ROLE_BINDING}:
            key = (obj["metadata"].get("namespace", ""), obj["roleRef"]["name"])
            subjects.setdefault(key, []).extend(s["name"] for s in obj["subjects"])
    for kind, obj in rights:
        if kind in {ROLE, CLUSTER_ROLE}:
            metadata = obj["metadata"]
            where = metadata.get("namespace", "")
            who = subjects.get((where, metadata["name"])) or ["bound in each tenant namespace"]
            text += f"\n## {kind.kind} {metadata['name']}{f' in {where}' if where else ''}\n\n"
            text += f"{', '.join(f'`{w}`' if ' ' not in w else w for w in who)}\n\n{_rules(obj)}"
    for title, objects in (
        ("What home gives foreign", forge_peer_rights(NAMESPACE, "FOREIGN-ID")),
        ("What foreign gives home", forge_tenant_rights(NAMESPACE, "HOME-ID", ["HOME-ID-JTI"])),
    ):
        text += f"\n## {title}\n\n"
        for kind, obj in objects:
            if kind is ROLE:
                text += f"In `{obj['metadata']['namespace']}`:\n\n{_rules(obj)}"
    text += "\n## Admission policies\n\nWhat rights cannot say. Each fails closed.\n\n"
    return text + table(
        ("policy", "what it sees to"),
        [(f"`{p.name}`", "; ".join(c.message for c in p.checks)) for p in policies(NAMESPACE)],
    )


def _rules(role: Wire) -> str:
    rows = [
        (
            ", ".join(f"`{_resource(resource, group)}`" for resource in rule["resources"]),
            ", ".join(f"`{name}`" for name in rule.get("resourceNames", ())) or "all",
            ", ".join(rule["verbs"]),
        )
        for rule in role["rules"]
        for group in rule["apiGroups"]
    ]
    return table(("resource", "names", "verbs"), rows)


def _resource(name: str, group: str) -> str:
    """Return PLURAL.GROUP/SUBRESOURCE."""
    plural, slash, subresource = name.partition("/")
    return f"{plural}.{group}".rstrip(".") + slash + subresource


def stale(root: Path = ROOT) -> list[str]:
    """Return the generated files that are not what the code says."""
    return [
        path
        for path, text in generate().items()
        if not (root / path).exists() or (root / path).read_text() != text
    ]


def main() -> None:
    """Write every file that is not what the code says."""
    files = generate()
    for path in stale():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(files[path])
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
