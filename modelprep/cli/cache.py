"""``modelprep cache``: what is in the store, is it still right, what may go, and its key for a CI cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from modelprep.cli import common
from modelprep.cli.output import size_text
from modelprep.cli.units import parse_size
from modelprep.events import Event

if TYPE_CHECKING:
    from modelprep.pipeline.plan.request import Plan, Request
    from modelprep.recipe.catalogue import Catalogue
    from modelprep.store import Store

app = common.group("The store: info, verify, gc, key.")


@app.command()
def info(cache: common.Cache = None, json: common.Json = False, quiet: common.Quiet = False) -> None:
    """Say where the store is and what is in it."""
    with common.sink(json=json, quiet=quiet) as output:
        from modelprep.store import Store, maintenance

        found = maintenance.info(Store.open(cache))
        output.result({**vars(found), "root": str(found.root)})
        if output.mode == "quiet":
            output.value(str(found.root))
        rows = [
            ("files", found.blobs, size_text(found.blob_bytes)),
            ("step results", found.results, ""),
            ("downloads under way", found.partials, size_text(found.partial_bytes)),
            ("in quarantine", found.quarantined, size_text(found.quarantine_bytes)),
        ]
        output.table(f"{found.root}{'' if found.exists else '  (not there yet)'}", ["", ">count", ">size"], rows)
        writable = "" if found.writable else ", not writable"
        output.line(f"free on that disk: {size_text(found.free_bytes)}{writable}")


@app.command()
def verify(
    repair: Annotated[
        bool, typer.Option("--repair", help="Download or make corrupt files again that a recipe uses.")
    ] = False,
    out: common.Out = common.DEFAULT_OUT,
    cache: common.Cache = None,
    mirror: common.Mirror = None,
    offline: common.Offline = False,
    no_archives: common.NoArchives = False,
    allow_private: common.AllowPrivate = None,
    lockfile: common.LockFile = None,
    recipes: common.Recipes = None,
    json: common.Json = False,
    quiet: common.Quiet = False,
) -> None:
    """Hash every cached file again, trusting nothing; corrupt ones are quarantined (exit status 4).

    With --repair, those that a recipe uses are got again; exit status 0 when that succeeds.
    """
    with common.sink(json=json, quiet=quiet) as output:
        from modelprep.errors import DigestMismatch
        from modelprep.store import Store, maintenance

        store = Store.open(cache)
        listen = output.listener()

        def progress(done: int, total: int | None) -> None:
            listen(Event("progress", task="verify", label="verify", done=done, total=total))

        report = maintenance.verify(store, progress)
        listen(Event("done", task="verify", label="verify"))
        from modelprep.pipeline.repairing import Repaired
        from modelprep.pipeline.repairing import repair as restore

        repaired = Repaired()
        if repair and not report.ok:
            from modelprep.pipeline.plan.request import Request

            request = Request(
                targets=("all",),
                out=out,
                cache=cache,
                mirrors=tuple(mirror or ()),
                offline=offline,
                archives=not no_archives,
                allow_private=allow_private,
                lockfile=lockfile,
            )
            repaired = restore(_plans(request, common.catalogue(recipes), store), report, listen)
        output.result(
            {
                "ok": report.ok,
                "checked": report.checked,
                "checked_bytes": report.checked_bytes,
                "rotten": list(report.rotten),
                "quarantined": [str(path) for path in report.quarantined],
                "broken_results": list(report.broken_results),
                "restored": repaired.restored,
            }
        )
        output.line(f"{report.checked} files hashed ({size_text(report.checked_bytes)}), {len(report.rotten)} corrupt")
        if report.broken_results:
            output.line(f"{len(report.broken_results)} step results were without their files; they will be made anew")
        if repaired.restored:
            output.line(f"{len(repaired.restored)} corrupt files are right again")
        if repaired.unused:
            output.line(f"{len(repaired.unused)} corrupt files are used by no recipe; they stay in quarantine")
        for error in repaired.failed.values():
            output.error(error)
        left = repaired.failed if repair else report.rotten
        if left:
            raise DigestMismatch(
                f"{len(left)} cached files are corrupt; they are in quarantine",
                where=str(store.root),
                got=", ".join(left),
                hint="check the disk; to get the files again: modelprep cache verify --repair",
            )


def _plans(
    request: Request, catalogue: Catalogue, store: Store, targets: Sequence[str] = (), *, strict: bool = False
) -> list[Plan]:
    """Plan every recipe, each variant too, by itself.

    Parameters
    ----------
    strict
        Raise the error of a broken recipe: what it uses is not known, and nothing of it may be lost.
    """
    from modelprep.pipeline.inventory import sound_recipes
    from modelprep.pipeline.plan.planner import plan_recipes

    found, broken = sound_recipes(catalogue, targets)
    if broken and strict:
        raise broken[0]
    everything = [*found]
    for recipe in found:
        if not recipe.variant:
            everything += [catalogue.load_file(recipe.path, variant) for variant in recipe.variants]
    return [plan_recipes(request, [recipe], store, catalogue.shared) for recipe in everything]


@app.command()
def gc(
    targets: common.SomeTargets = None,
    out: common.Out = common.DEFAULT_OUT,
    cache: common.Cache = None,
    lockfile: common.LockFile = None,
    recipes: common.Recipes = None,
    older_than: Annotated[
        float, typer.Option("--older-than", metavar="DAYS", min=0, help="Spare what is younger than so many days.")
    ] = 0.0,
    max_size: Annotated[
        str | None,
        typer.Option(
            "--max-size", metavar="SIZE", help="Then remove what was used least recently, down to SIZE (such as 2GiB)."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Say what would go; remove nothing.")] = False,
    json: common.Json = False,
    quiet: common.Quiet = False,
) -> None:
    """Remove what no recipe uses: old versions, archives that were taken apart, evidence, dead downloads.

    With targets, only what these use is kept. Finished trees are never touched; --max-size also leaves the files
    of the trees below --out, and files with a checksum of first use. While a run is at work with the store, nothing is
    removed (exit code 6).
    """
    with common.sink(json=json, quiet=quiet) as output:
        from modelprep.pipeline.inventory import blobs_in_use, blobs_needed
        from modelprep.pipeline.plan.request import Request
        from modelprep.store import Store, maintenance

        catalogue = common.catalogue(recipes)
        store = Store.open(cache)
        request = Request(targets=tuple(targets or ("all",)), out=out, cache=cache, lockfile=lockfile)

        def keep() -> set[str]:
            return blobs_in_use(_plans(request, catalogue, store, targets or (), strict=True))

        report = maintenance.gc(
            store,
            keep,
            older_than=older_than * 86400,
            max_bytes=None if max_size is None else parse_size(max_size),
            needed=lambda: blobs_needed(out, request.lock_path),
            dry_run=dry_run,
        )
        removed = [{"what": item.what, "name": item.name, "size": item.size} for item in report.removed]
        output.result(
            {
                "dry_run": dry_run,
                "freed_bytes": report.freed_bytes,
                "kept": report.kept,
                "kept_bytes": report.kept_bytes,
                "removed": removed,
                "over_limit_bytes": report.over_limit,
            }
        )
        output.table(
            "", ["what", "name", ">size"], [(r.what, r.name[:24], size_text(r.size)) for r in report.removed]
        ) if report.removed else None
        output.line(
            f"{'would free' if dry_run else 'freed'} {size_text(report.freed_bytes)}; "
            f"{report.kept} files stay ({size_text(report.kept_bytes)})"
        )
        if report.over_limit:
            output.note(
                f"{size_text(report.over_limit)} more than --max-size stay: files of the trees below {out}, files with "
                "a checksum of first use, and what --older-than spares"
            )


@app.command()
def key(
    targets: common.SomeTargets = None,
    each: Annotated[
        bool, typer.Option("--each", help="A line for each recipe, its own key first, instead of one key for all.")
    ] = False,
    out: common.Out = common.DEFAULT_OUT,
    lockfile: common.LockFile = None,
    armnn: common.Armnn = None,
    recipes: common.Recipes = None,
    json: common.Json = False,
    quiet: common.Quiet = False,
) -> None:
    """Print a key for a CI cache: it changes exactly when a recipe, a step's version or the lock file changes.

    It is the same on every machine, and speaks of the recipes asked for only.
    """
    with common.sink(json=json, quiet=quiet) as output:
        from modelprep.pipeline.inventory import cache_key, cache_keys
        from modelprep.pipeline.plan.request import Request

        request = Request(targets=tuple(targets or ()), out=out, lockfile=lockfile)
        keys = cache_keys(common.catalogue(recipes), request.targets, request.lock_path, armnn=armnn)
        one = cache_key(keys)
        output.result({"key": one, "recipes": list(keys), "keys": keys})
        for line in [f"{text}  {name}" for name, text in keys.items()] if each else [one]:
            output.value(line)
