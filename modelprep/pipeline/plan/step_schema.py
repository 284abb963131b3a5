"""The steps' parameters as data: for editors (JSON Schema) and for `modelprep steps`."""

from __future__ import annotations

from typing import Any

from modelprep import steps
from modelprep.recipe.jsonschema import reference
from modelprep.steps import Param, Step

_PLAIN = r"^(?!\$(?!\$))"  # a text that begins with a dollar sign is a reference; two dollar signs are an escaped one


def step_schemas() -> dict[str, dict[str, Any]]:
    """Return name of each step -> JSON Schema of its ``with:``."""
    return {name: with_schema(steps.find(name)) for name in steps.names()}


def with_schema(step: Step) -> dict[str, Any]:
    """Return the JSON Schema of the parameters of a step."""
    made: dict[str, Any] = {
        "description": step.summary,
        "type": "object",
        "properties": {name: _param(each) for name, each in step.params.items()},
        "additionalProperties": False,
    }
    if required := [name for name, each in step.params.items() if each.required]:
        made["required"] = required
    return made


def _param(param: Param) -> dict[str, Any]:
    made: dict[str, Any] = {"description": param.doc}
    if not param.required and isinstance(param.default, str | int | float | bool):
        made["default"] = param.default
    value = {"enum": list(param.choices)} if param.choices else _kind(param)
    if not value:
        return made
    return made | (value if param.required else {"anyOf": [value, {"type": "null"}]})


def _kind(param: Param) -> dict[str, Any]:
    text = {"type": "string", "pattern": _PLAIN}
    return {
        "file": reference(),
        "files": {
            "anyOf": [
                {"type": "array", "items": reference(), "minItems": 1},
                {"type": "object", "additionalProperties": reference(), "minProperties": 1},
            ]
        },
        "str": text,
        "strs": {"type": "array", "items": text},
        "int": {"type": "integer"},
        "float": {"type": "number"},
        "bool": {"type": "boolean"},
        "map": {"type": "object"},
        "any": {},
    }[param.kind]


def describe(step: Step) -> dict[str, Any]:
    """Describe a step, JSON-ready: its output and its parameters."""
    return {
        "name": step.name,
        "version": step.version,
        "summary": step.summary,
        "produces": step.produces,
        "origin": step.origin,
        "params": {
            name: {
                "kind": each.kind,
                "required": each.required,
                "default": each.default if isinstance(each.default, str | int | float | bool) else None,
                "choices": list(each.choices),
                "doc": each.doc,
            }
            for name, each in step.params.items()
        },
    }
