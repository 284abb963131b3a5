"""Verbs that look at recipes, decide, and prepare trees."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from modelprep.api.arguments import AnyPath, Paths, Words, framed, path_or_none, paths, places, words
from modelprep.events import Event, Listener, silent

if TYPE_CHECKING:
    from modelprep.pipeline.plan.request import Plan, PlannedDemo
    from modelprep.pipeline.run.report import Report
    from modelprep.recipe.catalogue import Catalogue


def catalogue(recipes: Paths = ()) -> Catalogue:
    """Open the shipped recipes, those of ``MODELPREP_RECIPES``, and folders of one's own, which may replace ours.

    Raises
    ------
    UsageError
        A folder is not there.
    """
    with framed():
        from modelprep.recipe.catalogue import Catalogue

        return Catalogue.open(paths(recipes))


def plan(
    targets: Words,
    *,
    out: AnyPath = "out",
    cache: AnyPath | None = None,
    mirrors: Paths = (),
    offline: bool = False,
    archives: bool = True,
    allow_private: bool | None = None,
    jobs: int = 4,
    overrides: Mapping[str, AnyPath] | None = None,
    accept_any: bool = False,
    link: bool = False,
    locked: bool = False,
    lockfile: AnyPath | None = None,
    armnn: str | None = None,
    bsp: str | None = None,
    soc: str | None = None,
    image_files: bool = False,
    remote_cache: str | None = None,
    remote_cache_mode: str = "read",
    trust_remote_results: bool = False,
    verify: bool = False,
    recipes: Paths = (),
) -> Plan:
    """Decide what a fetch would do; opens no socket and writes nothing. The command's ``fetch --dry-run``.

    Parameters
    ----------
    targets
        Groups, recipes, demos' own names, paths of recipe files, ``all``; one, or a sequence of them.
    out, cache
        Folder of the finished trees; the store (None: where it lies by default).
    mirrors, offline, archives
        Folders or base URLs to ask first; open no socket; ask the archives of last resort.
    allow_private
        Ask loopback and private addresses, redirects included (True), or never (False); None: unless a public server
        redirects there, or as ``MODELPREP_ALLOW_PRIVATE`` says.
    jobs
        Downloads at once, 1 to 64.
    overrides, accept_any
        Asset name -> file of one's own, as ``--set``; whether to take it although it looks like a web page.
    link
        Hard links into the store instead of copies.
    locked, lockfile
        Refuse to add pins of first use; where they are kept (None: ``modelprep.lock`` in `out`).
    armnn
        Arm NN version to prepare for.
    bsp, soc
        i.MX Linux release of the board (``modelprep bsp list``) and its SoC; None for the manual's.
    image_files
        With `bsp`: also prepare files that the board's image already holds.
    remote_cache, remote_cache_mode, trust_remote_results
        URL of a cache shared with other machines; ``read`` or ``write``; whether conversions are taken from it.
    verify
        Compare the numbers of conversions with those of their originals, where a runtime is installed, before a tree
        is written; else only what was measured before is read. The files themselves are always checked.
    recipes
        Folders of recipes of one's own.

    Returns
    -------
    Plan
        Data to look at, and to hand to :func:`run`. A demo that cannot be prepared carries its problem.

    Raises
    ------
    ModelprepError
        A target is not known, a recipe is broken, the store or lock file cannot be read.
    """
    with framed():
        from modelprep.pipeline.plan.planner import plan as decide
        from modelprep.pipeline.plan.request import Request

        request = Request(
            targets=words(targets),
            out=Path(out),
            cache=path_or_none(cache),
            mirrors=places(mirrors),
            offline=offline,
            archives=archives,
            allow_private=allow_private,
            jobs=jobs,
            overrides={name: Path(path) for name, path in (overrides or {}).items()},
            accept_any=accept_any,
            link=link,
            locked=locked,
            lockfile=path_or_none(lockfile),
            armnn=armnn,
            bsp=bsp,
            soc=soc,
            image_files=image_files,
            remote_cache=remote_cache,
            remote_cache_mode=remote_cache_mode,
            trust_remote_results=trust_remote_results,
            verify=verify,
        )
        return decide(request, catalogue(recipes))


def run(decided: Plan, *, listen: Listener = silent) -> Report:
    """Do what :func:`plan` decided: download, verify, convert, install.

    Parameters
    ----------
    decided
        A plan; one that is some time old is held to what there is now.
    listen
        Called with an :class:`~modelprep.events.Event` for everything that happens, from several threads, one at a
        time. What it raises ends the run as Ctrl-C would, and comes out of here as it is.

    Returns
    -------
    Report
        One entry a demo; a demo that failed carries its error and stops no other (:attr:`Report.ok`,
        :attr:`Report.exit_code`).

    Raises
    ------
    StorageError
        What is to come does not fit; nothing was fetched then.
    Interrupted
        Ctrl-C: what is complete stays, partial downloads can be resumed, nothing stands half-written.
    """
    with framed(listen) as tell:
        from modelprep.pipeline.run.runner import run as do

        return do(decided, tell)


def fetch(
    targets: Words,
    *,
    out: AnyPath = "out",
    cache: AnyPath | None = None,
    mirrors: Paths = (),
    offline: bool = False,
    archives: bool = True,
    allow_private: bool | None = None,
    jobs: int = 4,
    overrides: Mapping[str, AnyPath] | None = None,
    accept_any: bool = False,
    link: bool = False,
    locked: bool = False,
    lockfile: AnyPath | None = None,
    armnn: str | None = None,
    bsp: str | None = None,
    soc: str | None = None,
    image_files: bool = False,
    remote_cache: str | None = None,
    remote_cache_mode: str = "read",
    trust_remote_results: bool = False,
    verify: bool = False,
    recipes: Paths = (),
    listen: Listener = silent,
) -> Report:
    """Prepare demos: :func:`plan` and :func:`run` in one. Parameters, results and errors as theirs."""
    decided = plan(
        targets,
        out=out,
        cache=cache,
        mirrors=mirrors,
        offline=offline,
        archives=archives,
        allow_private=allow_private,
        jobs=jobs,
        overrides=overrides,
        accept_any=accept_any,
        link=link,
        locked=locked,
        lockfile=lockfile,
        armnn=armnn,
        bsp=bsp,
        soc=soc,
        image_files=image_files,
        remote_cache=remote_cache,
        remote_cache_mode=remote_cache_mode,
        trust_remote_results=trust_remote_results,
        verify=verify,
        recipes=recipes,
    )
    return run(decided, listen=listen)


def list_demos(
    targets: Words = (),
    *,
    out: AnyPath = "out",
    cache: AnyPath | None = None,
    lockfile: AnyPath | None = None,
    bsp: str | None = None,
    soc: str | None = None,
    recipes: Paths = (),
    listen: Listener = silent,
) -> tuple[PlannedDemo, ...]:
    """List demos with their states: ``present``, ``stale``, ``missing``, ``bring``, ``nothing`` or ``absent``.

    Parameters
    ----------
    targets, out, cache, lockfile, bsp, soc, recipes
        As for :func:`plan`.
    listen
        Hears a warning for each broken recipe: where everything is listed they are left out, by name they are raised.

    Raises
    ------
    ModelprepError
        A target is not known or its recipe is broken.
    """
    with framed(listen) as tell:
        from modelprep.pipeline.inventory import sound_recipes
        from modelprep.pipeline.plan.board import Board
        from modelprep.pipeline.plan.planner import plan_recipes
        from modelprep.pipeline.plan.request import Request

        known = catalogue(recipes)
        found, broken = sound_recipes(known, words(targets))
        for error in broken:
            tell(Event("warning", text=f"a recipe is broken: {error}", data=error.to_json()))
        request = Request(
            targets=words(targets), out=Path(out), cache=path_or_none(cache), lockfile=path_or_none(lockfile)
        )
        return plan_recipes(request, Board.choose(bsp, soc).recipes(found, known)).demos


def cache_key(
    targets: Words = (),
    *,
    out: AnyPath = "out",
    lockfile: AnyPath | None = None,
    armnn: str | None = None,
    recipes: Paths = (),
) -> str:
    """Give the key for a CI cache: it changes exactly when a recipe, a step's version or the lock file changes.

    Parameters
    ----------
    targets, out, lockfile, armnn, recipes
        As for :func:`plan`; everything when there are no targets.

    Raises
    ------
    ModelprepError
        A target is not known, a recipe is broken, the lock file cannot be read.
    """
    with framed():
        from modelprep.pipeline.inventory import cache_key as key_of
        from modelprep.pipeline.inventory import cache_keys
        from modelprep.pipeline.plan.request import Request

        request = Request(targets=words(targets), out=Path(out), lockfile=path_or_none(lockfile))
        return key_of(cache_keys(catalogue(recipes), request.targets, request.lock_path, armnn=armnn))
