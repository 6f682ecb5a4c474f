"""The JSON schema and the reference page of the config, made from the model."""

import math
from pathlib import Path
from typing import Any

import yaml

from steerability.config.model import Config
from steerability.support.files import write_atomic

SCHEMA_PATH = Path("workflow/schemas/config.schema.yaml")
PAGE_PATH = Path("docs/config.md")
_NOTE = "made from workflow/steerability/config/model.py by `steerability config --write`"


def schema_text() -> str:
    """Return the config's JSON schema as YAML."""
    schema = Config.model_json_schema()
    return f"# {_NOTE}\n" + yaml.safe_dump(schema, sort_keys=False, allow_unicode=True, width=100)


def _type_text(field: dict[str, Any]) -> str:
    if "$ref" in field:
        name = field["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    for several in ("anyOf", "oneOf"):
        if several in field:
            return " or ".join(_type_text(part) for part in field[several])
    if field.get("type") == "array":
        return f"list of {_type_text(field['items'])}" if "items" in field else "list"
    if field.get("type") == "object":
        extra = field.get("additionalProperties") or next(
            iter(field.get("patternProperties", {}).values()), None
        )
        return f"mapping of {_type_text(extra)}" if isinstance(extra, dict) else "mapping"
    return str(field.get("type", "any"))


def _default_text(name: str, field: dict[str, Any], required: list[str]) -> str:
    if name in required:
        return "required"
    default = field.get("default")
    if default in ({}, []) or isinstance(default, dict):
        return ""
    text = yaml.safe_dump(default, default_flow_style=True, width=math.inf).removesuffix("...\n")
    return f"`{text.strip()}`"


def _section(title: str, schema: dict[str, Any]) -> list[str]:
    lines = [f"## {title}", ""]
    text = str(schema.get("description", "")).strip()
    if text:
        lines += [" ".join(text.split()), ""]
    if "properties" not in schema:
        return lines
    lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
    for name, field in schema["properties"].items():
        meaning = " ".join(str(field.get("description", "")).split())
        default = _default_text(name, field, schema.get("required", []))
        cells = (f"`{name}`", _type_text(field), default, meaning)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return [*lines, ""]


def page_text() -> str:
    """Return the reference page in Markdown."""
    schema = Config.model_json_schema()
    lines = [f"<!-- {_NOTE} -->", "# Config reference", ""]
    lines += [
        "`config.yaml` is the paper's protocol; `--configfile FILE` lays another over it: mappings "
        "are merged key by key, lists and plain values are replaced. Everything that can be named "
        "in a run is defined in `catalogue`; what a run uses is named in `suite`, "
        "`interventions`, `models` and `judges`.",
        "",
    ]
    lines += _section("Config", schema)
    for title, part in sorted(schema.get("$defs", {}).items()):
        lines += _section(title, part)
    return "\n".join(lines).rstrip() + "\n"


def write_generated(root: Path) -> list[Path]:
    """Write schema and page below ``root`` and return their paths."""
    texts = {root / SCHEMA_PATH: schema_text(), root / PAGE_PATH: page_text()}
    for path, text in texts.items():
        write_atomic(path, text.encode("utf-8"))
    return list(texts)
