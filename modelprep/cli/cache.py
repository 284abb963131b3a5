"""``modelprep cache``: show, verify and clean the cache, and print its key for CI."""

from __future__ import annotations

from typing import Annotated

from modelprep.api.caching import cache_info, collect_garbage, verify_cache
from modelprep.api.fetching import cache_keys
from modelprep.api.options import Cache, GcOptions, KeyOptions, VerifyOptions
from modelprep.cli import common
from modelprep.cli.output import Output, size_text
from modelprep.structs import facts

app = common.group("The cache: info, verify, gc, key.")


@app.command()
@common.command("modelprep cache info")
def info(output: Output, **options: common.Unpack[Cache]) -> None:
    """Show where the cache is and what is in it."""
    found = cache_info(**options)
    output.result(vars(found))
    if output.mode == "quiet":
        output.value(str(found.root))
    rows = [
        ("files", found.blobs, size_text(found.blob_bytes)),
        ("step results", found.results, ""),
        ("partial downloads", found.partials, size_text(found.partial_bytes)),
        ("quarantined", found.quarantined, size_text(found.quarantine_bytes)),
    ]
    output.table(f"{found.root}{'' if found.exists else '  (does not exist yet)'}", ["", ">count", ">size"], rows)
    writable = "" if found.writable else ", not writable"
    output.line(f"free on that disk: {size_text(found.free_bytes)}{writable}")


@app.command()
@common.command("modelprep cache verify --repair")
def verify(output: Output, **options: common.Unpack[VerifyOptions]) -> None:
    """Hash every cached file again; corrupt files are quarantined (exit status 4).

    With --repair, those that a recipe uses are downloaded or converted again; exit status 0 if that succeeds.
    """
    found = verify_cache(listen=output.listener(), **options)
    report, repaired = found.report, found.repaired
    output.result(found.to_json())
    output.line(f"{report.checked} files hashed ({size_text(report.checked_bytes)}), {len(report.corrupt)} corrupt")
    if report.broken_results:
        output.line(f"{len(report.broken_results)} step results had lost their files; they will be made again")
    if repaired.restored:
        output.line(f"{len(repaired.restored)} corrupt files repaired")
    if repaired.unused:
        output.line(f"{len(repaired.unused)} corrupt files are not used by any recipe; they stay quarantined")
    for error in repaired.failed.values():
        output.error(error)
    if found.error is not None:
        raise found.error


@app.command()
@common.command("modelprep cache gc --dry-run", "modelprep cache gc armnn-caffe --older-than 30")
def gc(output: Output, targets: common.SomeTargets = None, **options: common.Unpack[GcOptions]) -> None:
    """Remove files that no recipe uses: old versions, unpacked archives, quarantined files, abandoned downloads.

    With targets, only the files that these use are kept. Finished trees are never touched; --max-size also keeps the
    files of the trees below --out, and files with a first-use checksum. While a run is using the cache, nothing is
    removed (exit status 6).
    """
    report, dry_run = collect_garbage(targets or (), **options), options["dry_run"]
    found = facts(report, "dry_run", "freed_bytes", "kept", "kept_bytes")
    output.result({**found, "removed": [vars(each) for each in report.removed], "over_limit_bytes": report.over_limit})
    if report.removed:
        rows = [(each.what, each.name[:24], size_text(each.size)) for each in report.removed]
        output.table("", ["what", "name", ">size"], rows)
    output.line(
        f"{'would free' if dry_run else 'freed'} {size_text(report.freed_bytes)}; "
        f"{report.kept} files stay ({size_text(report.kept_bytes)})"
    )
    if report.over_limit:
        output.note(
            f"{size_text(report.over_limit)} more than --max-size are kept: files of the trees below "
            f"{options['out']}, files with a first-use checksum, and those that --older-than keeps"
        )


@app.command()
@common.command("modelprep cache key armnn-onnx --lockfile modelprep.lock")
def key(
    output: Output,
    targets: common.SomeTargets = None,
    each: Annotated[
        bool, common.option("--each", "Print one line per recipe, its key first, instead of one key for all.")
    ] = False,
    **options: common.Unpack[KeyOptions],
) -> None:
    """Print a key for a CI cache: it changes exactly when a recipe, a step's version or the lock file changes.

    It is the same on every machine and covers only the given recipes.
    """
    key, keys = cache_keys(targets or (), **options)
    output.result({"key": key, "recipes": list(keys), "keys": keys})
    for line in [f"{text}  {name}" for name, text in keys.items()] if each else [key]:
        output.value(line)
