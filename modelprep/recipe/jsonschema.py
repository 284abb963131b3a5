"""JSON Schema of the recipe format, for editors, made from the tables that the loader checks with."""

from __future__ import annotations

from typing import Any

from modelprep.recipe import tables
from modelprep.recipe.schema import SCHEMA_VERSION

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def recipe_schema() -> dict[str, Any]:
    """Describe a recipe file.

    What a schema cannot say (that a ``$name`` is known, that steps make no circle, that digests are there) is left to
    ``modelprep recipe lint``.
    """
    return _document("modelprep recipe", tables.RECIPE.schema())


def assets_schema() -> dict[str, Any]:
    """Describe a file of shared assets (``recipes/assets/*.yaml``)."""
    return _document("modelprep shared assets", tables.ASSETS_FILE.schema())


def _document(title: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"$schema": _DIALECT, "title": f"{title}, version {SCHEMA_VERSION}", **schema}
