"""``modelprep idx``: look at idx files (MNIST), and unpack them as Arm NN wants them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modelprep.cli import common
from modelprep.cli.conversions import Force, OutputFile

app = common.group("Idx files (MNIST): info, unpack.")

_File = Annotated[Path, typer.Argument(metavar="FILE", help="An idx file, plain or compressed (gzip, bzip2, xz).")]


@app.command()
def info(file: _File, json: common.Json = False, quiet: common.Quiet = False) -> None:
    """Say what an idx file holds; a compressed one is unpacked in memory and read to its end."""
    with common.sink(json=json, quiet=quiet) as output:
        from modelprep.formats import idx
        from modelprep.formats.given import require_input

        require_input(file)
        header, compression, counts = idx.inspect(file)
        facts = {"file": str(file), "compression": compression, **header.to_json()}
        if counts is not None:
            facts["labels"] = {str(label): count for label, count in counts.items()}
        rows: list[tuple[str, object]] = [
            ("file", file),
            ("compression", compression),
            ("magic", f"{header.magic} ({idx.meaning(header)})"),
            ("elements", header.dtype),
            ("shape", " x ".join(map(str, header.shape))),
            ("data", f"{header.data_size} bytes"),
        ]
        if counts is not None:
            rows.append(("labels", ", ".join(f"{label}: {count}" for label, count in counts.items())))
        output.table("", ["", ""], rows)
        output.result(facts)


@app.command()
def unpack(
    file: _File,
    output: OutputFile,
    force: Force = False,
    json: common.Json = False,
    quiet: common.Quiet = False,
) -> None:
    """Write an idx file in its plain form, after checking that it is whole."""
    with common.sink(json=json, quiet=quiet) as out:
        from modelprep.formats import idx
        from modelprep.formats.given import require_apart, require_input, require_output

        require_input(file)
        require_apart(file, output)
        require_output(output, force=force)
        header = idx.unpack(file, output)
        shape = " x ".join(map(str, header.shape))
        out.line(f"{output}: {idx.meaning(header)}, {shape}, {header.size + header.data_size} bytes")
        out.result({"file": str(file), "output": str(output), **header.to_json()})
