"""Check a file that replaces an asset (``--set``) like a download without a checksum."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from modelprep.errors import StepError
from modelprep.fetch.failures import Want


def doubt(path: Path, want: Want, places: Sequence[str]) -> str:
    """Say why a file does not match the recipe's names (of the download, of installed copies); empty if it may."""
    from modelprep.fetch.plausible import implausible
    from modelprep.fetch.sniff import describe

    looks = describe(path)
    if want.replaced_by(looks):
        return str(looks)
    names = (want.name, *places)
    if (found := implausible(path, names)) is not None:
        return str(found[0])
    return _damage(path, names)


def _damage(path: Path, names: Sequence[str]) -> str:
    """Say why a model cannot be read, by the reader of the format of its name."""
    formats = ("tflite", "onnx", "caffemodel", "pb")
    suffix = next((found for name in names if (found := name.lower().rpartition(".")[2]) in formats), "")
    try:
        if suffix == "tflite":
            from modelprep.formats.tflite.model import read

            read(path)
        elif suffix == "onnx":
            from modelprep.formats.onnx.model import read_header

            read_header(path)
        elif suffix == "caffemodel":
            from modelprep.formats.caffe.wire.index import index

            index(path)
        elif suffix == "pb":
            from modelprep.formats.tensorflow.read import read_any_graph

            read_any_graph(path)
    except StepError as error:
        return f"damaged: {error.what}"
    return ""
