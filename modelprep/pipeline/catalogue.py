"""Open the catalogue of recipes, with the steps, so that problems of steps are reported too."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from modelprep.errors import RecipeError
from modelprep.events import Listener, silent
from modelprep.recipe.catalogue import ENVIRONMENT, Catalogue
from modelprep.recipe.outside import listed
from modelprep.recipe.schema import StepUse
from modelprep.recipe.shipped import shipped_folder

if TYPE_CHECKING:
    from modelprep.pipeline.recipe_sources import Surroundings


def open_catalogue(
    extra: Sequence[str] = (), around: Surroundings | None = None, listen: Listener = silent
) -> Catalogue:
    """Open the shipped recipes, then those of ``MODELPREP_RECIPES``, then `extra`.

    Parameters
    ----------
    extra
        Folders, archives and URLs of archives: see :func:`modelprep.pipeline.recipe_sources.open_source`.
    around
        The store, lock file and network that archives may use; None: the default store and network, no lock file.

    Raises
    ------
    ModelprepError
        As :func:`~modelprep.pipeline.recipe_sources.open_source`.
    """
    named = (*listed(os.environ.get(ENVIRONMENT, "")), *extra)
    if not named:
        return Catalogue([shipped_folder()], _check)
    from modelprep.pipeline.recipe_sources import Surroundings, open_source

    sources = [open_source(each, around or Surroundings(), listen) for each in named]
    return Catalogue(
        [shipped_folder(), *(source.path for source in sources)],
        _check,
        {each.path: f"{each.url or each.named}#sha256={each.sha256}" for each in sources if each.sha256},
    )


def _check(uses: Sequence[StepUse]) -> Sequence[RecipeError]:
    from modelprep.pipeline.plan.validate import check_uses  # only needed for a broken recipe

    return check_uses(uses)
