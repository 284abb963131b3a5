"""The names of numbers in the TF Lite schema: builtin operators, and the options of each."""

from __future__ import annotations

from functools import cache
from pathlib import Path


def operator_name(code: int) -> str:
    """Return the name of a builtin operator by its code: ``CONV_2D``; an unknown code as ``OPERATOR_<code>``."""
    return _operator_names().get(code, f"OPERATOR_{code}")


def option_fields(union: int) -> list[tuple[str, int, str, float]]:
    """Return the fields of an options table, by its number in the schema's union of options.

    Name, slot, kind (``Int32``; ``[Int32]`` for a vector) and default; empty for a table without fields or unknown.
    """
    return _option_table().get(union, [])


@cache
def _operator_names() -> dict[int, str]:
    return {int(number): name for number, name in rows("operators.tsv")}


@cache
def _option_table() -> dict[int, list[tuple[str, int, str, float]]]:
    fields: dict[int, list[tuple[str, int, str, float]]] = {}
    for union, _, name, slot, kind, default in rows("options.tsv"):
        fields.setdefault(int(union), []).append((name, int(slot), kind, int(default or 0)))
    return fields


def rows(name: str) -> list[list[str]]:
    """Return the rows of one of the tables beside this module, without its comments."""
    text = Path(__file__).with_name(name).read_text("utf-8")
    return [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]
