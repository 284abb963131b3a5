"""``modelprep idx``: show idx files (MNIST), and unpack them for Arm NN."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from modelprep.api.converting import unpack_idx
from modelprep.api.inspecting import inspect
from modelprep.cli import common
from modelprep.cli.conversions import Force, OutputFile
from modelprep.cli.inspect import show
from modelprep.cli.output import Output

app = common.group("Idx files (MNIST): info, unpack.")

_File = Annotated[Path, common.Argument("FILE", "An idx file, plain or compressed (gzip, bzip2, xz).")]


@app.command()
@common.command("modelprep idx info t10k-images-idx3-ubyte.gz")
def info(output: Output, file: _File) -> None:
    """Show the contents of an idx file; a compressed one is unpacked in memory and read to its end."""
    found = inspect(file, format="idx")
    show(output, file, found)
    output.result(found.facts)


@app.command()
@common.command("modelprep idx unpack t10k-images-idx3-ubyte.gz -o t10k-images.idx3-ubyte")
def unpack(output: Output, file: _File, output_file: OutputFile, force: Force = False) -> None:
    """Write an idx file uncompressed, after checking that it is complete."""
    header, meaning = unpack_idx(file, output_file, force=force)
    shape = " x ".join(map(str, header.shape))
    output.line(f"{output_file}: {meaning}, {shape}, {header.size + header.data_size} bytes")
    output.result({"file": str(file), "output": str(output_file), **header.to_json()})
