"""The files of external data beside a model."""

from __future__ import annotations

from pathlib import Path

from modelprep.errors import StepError
from modelprep.formats.onnx.model import guarded, read_header


def files_beside(model: Path) -> dict[str, Path]:
    """Find the files of external data beside a model: location -> path.

    Raises StepError: a location is absolute, leads out of the model's folder or is not there.
    """
    found: dict[str, Path] = {}
    header = read_header(model)
    with guarded(str(model)):
        tensors = [tensor for tensor in header.graph.initializer if tensor.data_location == 1]
        locations = {entry.value for tensor in tensors for entry in tensor.external_data if entry.key == "location"}
    folder = model.resolve().parent
    for location in sorted(locations):
        found[location] = path = (folder / location).resolve()
        if not path.is_relative_to(folder):
            raise StepError(
                "the model says its weights lie outside its own folder", where=str(model), got=location,
                hint="only files beside the model or below are read",
            )  # fmt: skip
        if not path.is_file():
            raise StepError(
                "the model keeps weights in another file, which is not there", where=str(model), expected=str(path)
            )
    return found
