"""The verbs of the command line as functions; :mod:`modelprep` offers them by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from modelprep.events import Listener, silent

if TYPE_CHECKING:
    from modelprep.pipeline import Plan, PlannedDemo, Report
    from modelprep.recipe.catalogue import Catalogue

AnyPath = str | PathLike[str]


def catalogue(recipes: Sequence[AnyPath] = ()) -> Catalogue:
    """Open the shipped recipes, those of ``MODELPREP_RECIPES``, and folders of one's own, which may replace ours.

    Raises
    ------
    UsageError
        A folder is not there.
    """
    from modelprep.recipe.catalogue import Catalogue

    return Catalogue.open([Path(folder) for folder in recipes])


def plan(
    targets: Sequence[str],
    *,
    out: AnyPath = "out",
    cache: AnyPath | None = None,
    mirrors: Sequence[str] = (),
    offline: bool = False,
    archives: bool = True,
    jobs: int = 4,
    overrides: Mapping[str, AnyPath] | None = None,
    link: bool = False,
    locked: bool = False,
    lockfile: AnyPath | None = None,
    armnn: str | None = None,
    recipes: Sequence[AnyPath] = (),
) -> Plan:
    """Decide what a fetch would do; opens no socket and writes nothing.

    Parameters
    ----------
    targets
        Groups, recipes, demos' own names, paths of recipe files, ``all``.
    out, cache
        Folder of the finished trees; the store (None: where it lies by default).
    mirrors, offline, archives
        Folders or base URLs to ask first; open no socket; ask the archives of last resort.
    jobs
        Downloads at once.
    overrides
        Asset name -> file of one's own, as ``--set``.
    link
        Hard links into the store instead of copies.
    locked, lockfile
        Refuse to add pins of first use; where they are kept.
    armnn
        Arm NN version to prepare for.
    recipes
        Folders of recipes of one's own.

    Returns
    -------
    Plan
        Data to look at, and to hand to :func:`modelprep.pipeline.run`.

    Raises
    ------
    ModelprepError
        A target is not known, a recipe is broken, the store or lock file cannot be read.
    """
    from modelprep.pipeline import Request
    from modelprep.pipeline import plan as decide

    request = Request(
        targets=tuple(targets),
        out=Path(out),
        cache=None if cache is None else Path(cache),
        mirrors=tuple(mirrors),
        offline=offline,
        archives=archives,
        jobs=jobs,
        overrides={name: Path(path) for name, path in (overrides or {}).items()},
        link=link,
        locked=locked,
        lockfile=None if lockfile is None else Path(lockfile),
        armnn=armnn,
    )
    return decide(request, catalogue(recipes))


def fetch(
    targets: Sequence[str],
    *,
    out: AnyPath = "out",
    cache: AnyPath | None = None,
    mirrors: Sequence[str] = (),
    offline: bool = False,
    archives: bool = True,
    jobs: int = 4,
    overrides: Mapping[str, AnyPath] | None = None,
    link: bool = False,
    locked: bool = False,
    lockfile: AnyPath | None = None,
    armnn: str | None = None,
    recipes: Sequence[AnyPath] = (),
    listen: Listener = silent,
) -> Report:
    """Prepare demos: download, verify, convert, install. Parameters as :func:`plan`.

    Parameters
    ----------
    listen
        Called with an :class:`~modelprep.events.Event` for everything that happens, from several threads, one at a
        time.

    Returns
    -------
    Report
        One entry a demo; a demo that failed carries its error (:attr:`Report.ok`, :attr:`Report.exit_code`).

    Raises
    ------
    ModelprepError
        As :func:`plan`; Interrupted on Ctrl-C.
    """
    from modelprep.pipeline import run

    decided = plan(
        targets,
        out=out,
        cache=cache,
        mirrors=mirrors,
        offline=offline,
        archives=archives,
        jobs=jobs,
        overrides=overrides,
        link=link,
        locked=locked,
        lockfile=lockfile,
        armnn=armnn,
        recipes=recipes,
    )
    return run(decided, listen)


def list_demos(
    targets: Sequence[str] = (),
    *,
    out: AnyPath = "out",
    cache: AnyPath | None = None,
    lockfile: AnyPath | None = None,
    recipes: Sequence[AnyPath] = (),
) -> tuple[PlannedDemo, ...]:
    """List demos with their states (``present``, ``stale``, ``missing``, ``bring``, ``nothing``); all by default.

    Broken recipes are left out where everything is listed, and raised where they are asked for by name.

    Raises
    ------
    ModelprepError
        A target is not known or its recipe is broken.
    """
    from modelprep.pipeline import Request
    from modelprep.pipeline.inventory import sound_recipes
    from modelprep.pipeline.planning import plan_recipes

    found, _ = sound_recipes(catalogue(recipes), targets)
    request = Request(
        targets=tuple(targets),
        out=Path(out),
        cache=None if cache is None else Path(cache),
        lockfile=None if lockfile is None else Path(lockfile),
    )
    return plan_recipes(request, found).demos
