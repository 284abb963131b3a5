"""Verbs that read recipes, plan, and prepare trees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modelprep.api.declaring import Paths, Unpack, Words, places, verb, words
from modelprep.api.frame import framed, verb_of
from modelprep.api.options import KeyOptions, ListOptions, PlanOptions
from modelprep.events import Event, Listener, silent

if TYPE_CHECKING:
    from types import SimpleNamespace

    from modelprep.errors import RecipeError
    from modelprep.pipeline.plan.request import Plan, PlannedDemo, Request
    from modelprep.pipeline.recipe_sources import Surroundings
    from modelprep.pipeline.run.report import Report
    from modelprep.recipe.catalogue import Catalogue
    from modelprep.recipe.schema import Recipe
    from modelprep.tree.selection import TreePart


@verb()
def catalogue(recipes: Paths = ()) -> Catalogue:
    """Open the shipped recipes, those of ``MODELPREP_RECIPES`` and your own, which may replace shipped ones.

    Parameters
    ----------
    recipes
        Folders, archives, and URLs of archives with their checksum (``https://...tar.gz#sha256=...``).

    Raises
    ------
    UsageError
        A folder does not exist, or a URL has no checksum.
    FetchError, DigestMismatch, StepError
        An archive cannot be downloaded, does not match its pinned checksum, or cannot be unpacked.
    """
    with framed():
        from modelprep.pipeline.catalogue import open_catalogue

        return open_catalogue(places(recipes))


def catalogue_of(given: SimpleNamespace) -> Catalogue:
    """Open the recipes of a verb's settled options, with their store, network and lock file."""
    with framed():
        from modelprep.pipeline.catalogue import open_catalogue

        return open_catalogue(given.recipes, surroundings(given))


def surroundings(given: SimpleNamespace) -> Surroundings:
    """Return the store, network and lock file of a verb's settled options; defaults if it lacks one."""
    from modelprep.pipeline.recipe_sources import Surroundings
    from modelprep.recipe.lockfile import lock_path

    options = vars(given)
    lockfile = options.get("lockfile")
    lockfile = lock_path(lockfile, given.out) if "out" in options else lockfile
    names = ("cache", "mirrors", "offline", "allow_private", "locked")
    known = {name: options[name] for name in names if name in options}
    return Surroundings(**known, lockfile=lockfile)


def request_of(targets: Words, given: SimpleNamespace) -> Request:
    """Turn a verb's settled options into a request to the pipeline."""
    from modelprep.pipeline.plan.request import Request

    known: dict[str, Any] = dict.fromkeys(Request.__annotations__)
    options = {name: value for name, value in vars(given).items() if name in known}
    return Request(targets=words(targets), **options)


def decide(targets: Words, given: SimpleNamespace, known: Catalogue | None = None) -> Plan:
    """Plan what a verb's settled options ask for, with recipes that are open already, if any."""
    from modelprep.pipeline.plan.licences import refuse_denied
    from modelprep.pipeline.plan.planner import plan as decide

    return refuse_denied(decide(request_of(targets, given), known or catalogue_of(given)))


def selected(targets: Words, given: SimpleNamespace) -> list[Recipe]:
    """Return the recipes of targets, adapted to the board of a verb's settled options."""
    from modelprep.pipeline.plan.board import select

    return select(catalogue_of(given), words(targets), bsp=given.bsp, soc=given.soc)


def parts_of(
    targets: Words, given: SimpleNamespace, listen: Listener = silent, *, restricted: bool = False
) -> tuple[TreePart, ...]:
    """Return the parts of finished trees that belong to targets; `restricted` files may go to your own boards."""
    from modelprep.tree.selection import select

    restricted = restricted or given.include_restricted
    return select(given.out, selected(targets, given), include_restricted=restricted, listen=listen)


@verb(PlanOptions)
def plan(targets: Words, **options: Unpack[PlanOptions]) -> Plan:
    """Decide what a fetch would do; uses no network and writes nothing. The command's ``fetch --dry-run``.

    Returns
    -------
    Plan
        Data to inspect, and to pass to :func:`run`. A demo that cannot be prepared has a ``problem``.

    Raises
    ------
    ModelprepError
        A target is unknown, a recipe is broken, the store or lock file cannot be read.
    """
    with verb_of(PlanOptions, options) as (given, _):
        return decide(targets, given)


@verb()
def run(decided: Plan, *, listen: Listener | None = None) -> Report:
    """Execute a plan: download, verify, convert, install.

    Parameters
    ----------
    decided
        What :func:`plan` returned. An old plan is checked against the current state first.
    listen
        As for :func:`fetch`.

    Returns
    -------
    Report
        One entry per demo; a failed demo has an error and does not stop the others (:attr:`Report.ok`,
        :attr:`Report.exit_code`, :meth:`Report.raise_for_failure`).

    Raises
    ------
    StorageError
        Not enough disk space; nothing was fetched then.
    Interrupted
        Ctrl-C: complete files stay, partial downloads can be resumed, nothing is left half-written.
    """
    with framed(listen) as tell:
        from modelprep.pipeline.compiled import save_waiting
        from modelprep.pipeline.run.runner import run as do

        report = do(decided, tell)
        save_waiting()
        return report


@verb(PlanOptions)
def fetch(targets: Words, *, listen: Listener | None = None, **options: Unpack[PlanOptions]) -> Report:
    """Prepare demos: download, verify, convert, install. :func:`plan` and :func:`run` in one.

    Returns
    -------
    Report
        One entry per demo; a failed demo has an error and does not stop the others (:attr:`Report.ok`,
        :attr:`Report.exit_code`, :meth:`Report.raise_for_failure`).

    Raises
    ------
    ModelprepError
        A target is unknown, a recipe is broken, not enough disk space, Ctrl-C: as :func:`plan` and :func:`run`.
    """
    return run(plan(targets, **options), listen=listen)


@verb(ListOptions)
def listing(targets: Words = (), **options: Unpack[ListOptions]) -> tuple[Plan, Sequence[RecipeError]]:
    """Plan the fetch of demos as listed; return it, and the errors of broken recipes. The command ``list``.

    Raises
    ------
    ModelprepError
        A target is unknown or its recipe is broken.
    """
    with verb_of(ListOptions, options) as (given, _):
        from modelprep.pipeline.inventory import sound_recipes
        from modelprep.pipeline.plan.planner import plan_recipes

        known = catalogue_of(given)
        found, broken = sound_recipes(known, words(targets))
        if given.bsp or given.soc or any(recipe.variant for recipe in found):
            from modelprep.pipeline.plan.board import Board

            found = Board.choose(given.bsp, given.soc).recipes(found, known)
        # What a board's release changes is decided here; the request covers only what is fetched.
        return plan_recipes(request_of(targets, given), found), broken


@verb(ListOptions)
def list_demos(
    targets: Words = (), *, listen: Listener | None = None, **options: Unpack[ListOptions]
) -> tuple[PlannedDemo, ...]:
    """List demos with their states: ``present``, ``stale``, ``missing``, ``bring``, ``nothing`` or ``absent``.

    Parameters
    ----------
    listen
        Receives a warning for each broken recipe: they are left out if everything is listed, and raised if asked for by
        name.

    Raises
    ------
    ModelprepError
        A target is unknown or its recipe is broken.
    """
    found, broken = listing(targets, **options)
    with framed(listen) as tell:
        for error in broken:
            tell(Event("warning", text=f"a recipe is broken: {error}", data=error.to_json()))
        return found.demos


@verb(KeyOptions)
def cache_keys(targets: Words = (), **options: Unpack[KeyOptions]) -> tuple[str, dict[str, str]]:
    """Return a key for a CI cache for all recipes, and one for each. The command ``cache key``.

    Raises
    ------
    ModelprepError
        A target is unknown, a recipe is broken, the lock file cannot be read.
    """
    with verb_of(KeyOptions, options) as (given, _):
        from modelprep.pipeline.inventory import cache_key, cache_keys

        request = request_of(targets, given)
        board = {"armnn": given.armnn, "bsp": given.bsp, "soc": given.soc}
        keys = cache_keys(catalogue_of(given), request.targets, request.lock_path, **board)
        return cache_key(keys), keys


@verb(KeyOptions)
def cache_key(targets: Words = (), **options: Unpack[KeyOptions]) -> str:
    """Return the key for a CI cache: it changes exactly when a recipe, a step's version or the lock file changes.

    It is the same on every machine; without targets it covers all recipes.

    Raises
    ------
    ModelprepError
        A target is unknown, a recipe is broken, the lock file cannot be read.
    """
    return cache_keys(targets, **options)[0]
