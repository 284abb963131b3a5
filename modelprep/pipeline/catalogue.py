"""Open the catalogue of recipes, with the steps, so that problems of steps are reported too."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modelprep.errors import RecipeError
from modelprep.events import Listener, silent
from modelprep.pipeline.compiled import Compiled
from modelprep.recipe.catalogue import ASSETS_FOLDER, ENVIRONMENT, Catalogue
from modelprep.recipe.local import shared_files
from modelprep.recipe.outside import listed
from modelprep.recipe.schema import StepUse
from modelprep.recipe.shipped import shipped_folder
from modelprep.store.store import default_root

if TYPE_CHECKING:
    from modelprep.pipeline.recipe_sources import Surroundings


def open_catalogue(
    extra: Sequence[str] = (), around: Surroundings | None = None, listen: Listener = silent
) -> Catalogue:
    """Open the shipped recipes, then those of ``MODELPREP_RECIPES``, then `extra`: folders, archives, URLs of archives.

    Raises as :func:`~modelprep.pipeline.recipe_sources.open_source`. Without `around`, archives use the default store
    and network and no lock file.
    """
    named = (*listed(os.environ.get(ENVIRONMENT, "")), *extra)
    if not named:
        folders = [shipped_folder()]
        return Catalogue(folders, _check, kept=_kept(folders, around))
    from modelprep.pipeline.recipe_sources import Surroundings, open_source

    sources = [open_source(each, around or Surroundings(), listen) for each in named]
    folders = [shipped_folder(), *(source.path for source in sources)]
    origins = {each.path: f"{each.url or each.named}#sha256={each.sha256}" for each in sources if each.sha256}
    return Catalogue(folders, _check, origins, _kept(folders, around))


def _kept(folders: Sequence[Path], around: Surroundings | None) -> Compiled | None:
    try:
        store = default_root() if around is None or around.cache is None else around.cache.expanduser().absolute()
        return Compiled(store, folders, [path for each in folders for path in shared_files(each / ASSETS_FOLDER)])
    except (OSError, RuntimeError):  # what cannot be looked at is told when it is read; so is a home that is not there
        return None


def _check(uses: Sequence[StepUse]) -> Sequence[RecipeError]:
    from modelprep.pipeline.plan.validate import check_uses  # only needed for a broken recipe

    return check_uses(uses)
