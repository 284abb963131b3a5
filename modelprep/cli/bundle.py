"""``modelprep bundle``: pack finished demos into one archive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from modelprep.api.delivering import bundle
from modelprep.api.options import BundleOptions
from modelprep.cli import common
from modelprep.cli.output import Output, size_text
from modelprep.structs import facts


@common.command("modelprep bundle armnn-caffe -o models.tar.gz")
def command(
    output: Output,
    targets: common.Targets,
    output_file: Annotated[Path, common.option("--output -o", "The archive: .tar.gz, .tar.zst, .tar or .zip.", "FILE")],
    **options: common.Unpack[BundleOptions],
) -> None:
    """Pack finished demos into one archive: the same inputs always result in the same bytes.

    It contains the trees with their MANIFEST.json, SHA256SUMS and run-tests.sh, the licences, and an SPDX 2.3 document.
    """
    made = bundle(targets, output_file, listen=output.listener(), **options)
    output.close()
    for name, licence in sorted(made.left_out.items()):
        output.note(f"left out: {name} ({licence or 'restricted'}); --include-restricted includes it")
    output.value(str(made.path))
    output.line(f"{made.files} files, {size_text(made.size)}, sha256 {made.sha256}")
    output.result(facts(made, "path", "size", "sha256", "files", "left_out"))
