"""``modelprep mirror``: keep what recipes download where it can be had again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelprep.cli import common
from modelprep.cli.output import Output, size_text
from modelprep.errors import UsageError

if TYPE_CHECKING:
    from modelprep.pipeline.mirroring import Mirrored


def command(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="TARGET... DIR",
            help="What to mirror (as for fetch), and in the end the folder. With --verify the folder alone.",
            autocompletion=common.complete_target,
        ),
    ],
    verify: Annotated[
        bool, typer.Option("--verify", help="Read the whole mirror again; exit code 1 on damage.")
    ] = False,
    bitbake: Annotated[
        bool, typer.Option("--bitbake", help="One flat folder, with the names and stamps of BitBake's DL_DIR.")
    ] = False,
    include_restricted: Annotated[
        bool, typer.Option("--include-restricted", help="Also files whose rights do not allow passing them on.")
    ] = False,
    out: common.Out = common.DEFAULT_OUT,
    cache: common.Cache = None,
    mirror: common.Mirror = None,
    offline: common.Offline = False,
    no_archives: common.NoArchives = False,
    allow_private: common.AllowPrivate = None,
    jobs: common.Jobs = common.DEFAULT_JOBS,
    lockfile: common.LockFile = None,
    armnn: common.Armnn = None,
    bsp: common.BspRelease = None,
    soc: common.Soc = None,
    recipes: common.Recipes = None,
    json: common.Json = False,
    quiet: common.Quiet = False,
) -> None:
    """Write a static mirror of what recipes download, which --mirror reads from a disk, a web server or a bucket.

    It is laid out HOST/PATH. What stands there with the right digest is left alone. What is not in the store yet is
    fetched.
    """
    with common.sink(json=json, quiet=quiet) as output:
        if verify:
            if len(targets) != 1:
                raise UsageError("--verify wants a mirror's folder and no more", got=" ".join(targets))
            _verify(output, Path(targets[0]))
            return
        if len(targets) < 2:
            raise UsageError(
                "mirror wants targets and a folder", got=" ".join(targets), hint="modelprep mirror armnn-caffe DIR"
            )
        from modelprep.pipeline.mirroring import make_mirror
        from modelprep.pipeline.plan.planner import plan
        from modelprep.pipeline.plan.request import Request

        request = Request(
            targets=tuple(targets[:-1]),
            out=out,
            cache=cache,
            mirrors=tuple(mirror or ()),
            offline=offline,
            archives=not no_archives,
            allow_private=allow_private,
            jobs=jobs,
            lockfile=lockfile,
            armnn=armnn,
            bsp=bsp,
            soc=soc,
        )
        made = make_mirror(
            plan(request, common.catalogue(recipes)),
            Path(targets[-1]),
            include_restricted=include_restricted,
            bitbake=bitbake,
            listen=output.listener(),
        )
        output.close()
        _tell(output, made)
        raise typer.Exit(made.exit_code)


def _tell(output: Output, made: Mirrored) -> None:
    if output.mode != "json":
        for error in {str(error): error for error in made.failed.values()}.values():
            output.error(error)
    for name, why in sorted(made.left_out.items()):
        output.note(f"left out: {name}: {why}")
    output.value(str(made.folder))
    output.line(
        f"{len(made.written)} files written ({size_text(made.bytes_written)}), {len(made.kept)} there already, "
        f"{len(made.failed)} failed"
    )
    output.result(
        {
            "folder": str(made.folder),
            "written": [file.path for file in made.written],
            "kept": [file.path for file in made.kept],
            "bytes_written": made.bytes_written,
            "left_out": made.left_out,
            "failed": {name: error.to_json() for name, error in made.failed.items()},
        }
    )


def _verify(output: Output, folder: Path) -> None:
    from modelprep.pipeline.mirroring import verify_mirror

    found = verify_mirror(folder, output.listener())
    output.close()
    damaged = found.damaged
    output.result(
        {
            "files": len(found.files),
            "bytes": found.size,
            "damaged": [{"path": d.path, "url": d.url, "what": d.what, "got": d.got} for d in damaged],
        }
    )
    if damaged:
        output.table("", ["file", "what", "got"], [(d.path, d.what, d.got) for d in damaged])
    output.line(f"{len(found.files)} files, {size_text(found.size)}: {len(damaged) or 'none'} damaged")
    if damaged:
        raise typer.Exit(1)
