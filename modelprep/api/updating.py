"""The verb that moves the pins of downloaded recipes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelprep.api.declaring import Unpack, verb
from modelprep.api.fetching import surroundings
from modelprep.api.frame import verb_of
from modelprep.api.options import UpdateOptions
from modelprep.events import Listener

if TYPE_CHECKING:
    from modelprep.pipeline.recipe_updates import RecipeUpdate


@verb(UpdateOptions)
def update_recipes(
    *, dry_run: bool = False, listen: Listener | None = None, **options: Unpack[UpdateOptions]
) -> tuple[RecipeUpdate, ...]:
    """Compare downloaded recipes with a newer version and pin that in the lock file. The command's ``recipe update``.

    Parameters
    ----------
    dry_run
        Compare only; the lock file stays.

    Returns
    -------
    tuple of RecipeUpdate
        One per catalogue: both versions, recipes added and removed, and the changes in the others.

    Raises
    ------
    UsageError
        Nothing is pinned, or a version or URL is not valid.
    RecipeError
        A recipe of the new version is broken; the lock file stays.
    FetchError, DigestMismatch, StepError, StorageError
        The new version cannot be downloaded, verified, unpacked or pinned.
    """
    with verb_of(UpdateOptions, options, listen) as (given, tell):
        from modelprep.pipeline.recipe_updates import update_recipes as update

        return update(surroundings(given), recipes=given.recipes, to=given.to, dry_run=dry_run, listen=tell)
