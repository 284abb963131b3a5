"""Opening the catalogue of recipes, with the steps known: what is wrong with these is told with the rest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from modelprep.errors import RecipeError
from modelprep.recipe.catalogue import Catalogue
from modelprep.recipe.schema import StepUse


def open_catalogue(extra: Sequence[Path] = ()) -> Catalogue:
    """Open the shipped recipes, those of ``MODELPREP_RECIPES``, then `extra`: see :meth:`Catalogue.open`."""
    return Catalogue.open(extra, check=_check)


def _check(uses: Sequence[StepUse]) -> Sequence[RecipeError]:
    from modelprep.pipeline.plan.validate import check_uses  # only a recipe that is wrong needs it

    return check_uses(uses)
