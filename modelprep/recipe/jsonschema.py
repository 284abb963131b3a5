"""JSON Schema of the recipe format, for editors, made from the loader's tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelprep.recipe import tables
from modelprep.recipe.schema import SCHEMA_VERSION
from modelprep.recipe.text import REF_PATTERN

#: Name of the schema that `recipe new` writes beside the recipe.
FILE_NAME = "recipe.schema.json"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_VARIABLE = {"type": "string", "pattern": r"\$\{[A-Za-z][A-Za-z0-9_]*\}"}

JsonSchema = dict[str, Any]


def recipe_schema(steps: Mapping[str, JsonSchema] | None = None) -> JsonSchema:
    """Describe a recipe file, with `steps`: name of each step -> the schema of its ``with:`` (none: any is accepted).

    ``modelprep recipe lint`` checks what a schema cannot express (known ``$name``, no cycle of steps, existing
    digests).
    """
    made = tables.RECIPE.schema()
    properties = made["properties"]
    if steps:
        _add_steps(properties["steps"]["items"], steps)
    for key in properties.keys() - {"schema", "for", "variants"}:
        properties[key] = _with_variables(properties[key])
    return _document("modelprep recipe", "recipe", made)


def assets_schema() -> JsonSchema:
    """Describe a file of shared assets (``recipes/assets/*.yaml``)."""
    return _document("modelprep shared assets", "assets", tables.ASSETS_FILE.schema())


def reference() -> JsonSchema:
    """Describe a reference to a file: ``$asset``, ``$step``, ``$step/inner/path``."""
    return {"type": "string", "pattern": REF_PATTERN}


def _document(title: str, name: str, schema: JsonSchema) -> JsonSchema:
    head = {"$schema": _DIALECT, "$id": f"urn:modelprep:{name}:{SCHEMA_VERSION}"}
    return {**head, "title": f"{title}, version {SCHEMA_VERSION}", **schema}


def _add_steps(step: JsonSchema, steps: Mapping[str, JsonSchema]) -> None:
    """Add the names of the steps and their parameters to the schema of a recipe's step."""
    uses = step["properties"]["uses"]
    names = [{"const": name, "description": each.get("description", "")} for name, each in sorted(steps.items())]
    step["properties"]["uses"] = {"description": uses["description"], "type": "string", "oneOf": names}
    step.setdefault("allOf", []).extend(
        {
            "if": {"properties": {"uses": {"const": name}}, "required": ["uses"]},
            "then": {"properties": {"with": each}, **({"required": ["with"]} if each.get("required") else {})},
        }
        for name, each in sorted(steps.items())
    )


def _with_variables(schema: Any) -> Any:
    """Allow ``${name}`` of a matrix wherever a text or number is restricted."""
    if isinstance(schema, list):
        return [_with_variables(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    bound = {"pattern", "enum", "minimum"} & schema.keys() or schema.get("type") in ("integer", "number", "boolean")
    if bound:
        told = {key: schema[key] for key in ("description", "default") if key in schema}
        return {**told, "anyOf": [{key: value for key, value in schema.items() if key not in told}, _VARIABLE]}
    # An `if` tests the written text; the rest describes allowed values.
    return {
        key: value if key in ("if", "const", "required") else _with_variables(value) for key, value in schema.items()
    }
