"""``modelprep mirror``: keep a copy of what recipes download."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from modelprep.api.mirroring import mirror, verify_mirror
from modelprep.api.options import MirrorOptions
from modelprep.cli import common
from modelprep.cli.output import Output, size_text
from modelprep.errors import UsageError
from modelprep.structs import facts

if TYPE_CHECKING:
    from modelprep.api.types import Mirrored


@common.command("modelprep mirror all /srv/models", "modelprep mirror --verify /srv/models")
def command(
    output: Output,
    targets: Annotated[
        list[str],
        common.targets(
            "TARGET... DIR", "What to mirror (as for fetch), then the folder. With --verify the folder alone."
        ),
    ],
    verify: Annotated[bool, common.option("--verify", "Read the whole mirror again; exit status 1 on damage.")] = False,
    **options: common.Unpack[MirrorOptions],
) -> int:
    """Write a static mirror of what recipes download, which --mirror reads from a disk, a web server or a bucket.

    Its layout is HOST/PATH. Files that exist with the right checksum are left alone; files that are not cached are
    fetched.
    """
    if verify:
        if len(targets) != 1:
            raise UsageError("--verify takes one folder, the mirror", got=" ".join(targets))
        return _verify(output, targets[0])
    made = mirror(*common.split(targets, "modelprep mirror armnn-caffe DIR"), listen=output.listener(), **options)
    output.close()
    _tell(output, made)
    return made.exit_code


def _tell(output: Output, made: Mirrored) -> None:
    if output.mode != "json":
        for error in {str(error): error for error in made.failed.values()}.values():
            output.error(error)
    for name, why in sorted(made.left_out.items()):
        output.note(f"left out: {name}: {why}")
    output.value(str(made.folder))
    output.line(
        f"{len(made.written)} files written ({size_text(made.bytes_written)}), {len(made.kept)} up to date, "
        f"{len(made.failed)} failed"
    )
    files = {"written": [file.path for file in made.written], "kept": [file.path for file in made.kept]}
    failed = {name: error.to_json() for name, error in made.failed.items()}
    output.result({**facts(made, "folder", "bytes_written", "left_out"), **files, "failed": failed})


def _verify(output: Output, folder: str) -> int:
    found = verify_mirror(folder, listen=output.listener())
    output.close()
    damaged = found.damaged
    output.result({"files": len(found.files), "bytes": found.size, "damaged": [vars(each) for each in damaged]})
    if damaged:
        output.table("", ["file", "what", "got"], [(d.path, d.what, d.got) for d in damaged])
    output.line(f"{len(found.files)} files, {size_text(found.size)}: {len(damaged) or 'none'} damaged")
    return 1 if damaged else 0
