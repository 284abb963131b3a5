"""The verb that says what is in a model file, whatever its format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelprep.api.declaring import AnyPath
from modelprep.api.frame import framed
from modelprep.errors import StepError
from modelprep.structs import facts

if TYPE_CHECKING:
    from modelprep.formats.tflite.model import Model, Operator, Subgraph, Tensor

#: What :func:`modelprep.formats.sniff.recognise_model` returns -> the format's name here.
_FORMATS = {
    "prototxt": "caffe", "caffemodel": "caffe", "graphdef": "tf", "text graph": "tf", "saved model": "tf",
    "tflite": "tflite", "onnx": "onnx", "idx": "idx", "gzip": "idx", "bzip2": "idx", "xz": "idx",
}  # fmt: skip


@dataclass(frozen=True)
class Inspected:
    """Contents of a model file.

    Parameters
    ----------
    format
        ``caffe``, ``tf``, ``checkpoint``, ``tflite``, ``onnx`` or ``idx``.
    facts
        What the format's reader found, JSON-ready.
    model
        The parsed model, in the reader's own type.
    """

    format: str
    facts: Mapping[str, Any]
    model: Any = field(default=None, repr=False, compare=False)


_Read = tuple[Any, Mapping[str, Any]]


def inspect(file: AnyPath, *, format: str | None = None, weights: AnyPath | None = None) -> Inspected:  # noqa: A002
    """Describe a model, a checkpoint or an idx file; the format is found from the content.

    Parameters
    ----------
    file
        A Caffe prototxt or caffemodel; a TensorFlow graph, SavedModel or checkpoint (any of its files, its prefix or
        folder); a TF Lite or ONNX model; an idx file, compressed or not.
    format
        As in :class:`Inspected`; found from the content when left out.
    weights
        With a prototxt: a caffemodel that must match it.

    Raises
    ------
    UsageError
        The file does not exist.
    StepError
        The file is in none of these formats, or is damaged.
    """
    with framed():
        path = Path(file)
        known = format or _format_of(path)
        if format == "tf" and _is_checkpoint(path):
            known = "checkpoint"
        for each in (path if known != "checkpoint" else None, weights):
            if each is not None and not (known == "tf" and Path(each).is_dir()):
                _require(Path(each))
        model, facts = _caffe(path, weights) if known == "caffe" else _READERS[known](path)
        return Inspected(known, facts, model)


def _require(path: Path) -> None:
    from modelprep.formats.given import require_input

    require_input(path)


def _is_checkpoint(path: Path) -> bool:
    from modelprep.formats.tensorflow.checkpoint.find import STATE_FILE, is_checkpoint

    return (path / STATE_FILE).is_file() or is_checkpoint(path)


def _format_of(path: Path) -> str:
    from modelprep.formats.sniff import HEAD, recognise_model
    from modelprep.formats.tensorflow.checkpoint.find import files_of, is_checkpoint
    from modelprep.formats.tensorflow.wrapped import SAVED_MODEL_FILE

    if path.is_dir():
        if (path / SAVED_MODEL_FILE).is_file() or (path / f"{SAVED_MODEL_FILE}txt").is_file():
            return "tf"
        if (path / "data.mdb").is_file():
            _require(path)
        files_of(path)
        return "checkpoint"
    if is_checkpoint(path):
        return "checkpoint"
    _require(path)
    with path.open("rb") as stream:
        found = recognise_model(stream.read(8 * HEAD))
    if found is not None and found.name in _FORMATS:
        return _FORMATS[found.name]
    if path.suffix == ".meta":
        return "tf"
    if path.suffix == ".prototxt":
        return "caffe"  # the reader finds the other files of that name
    raise StepError(
        "not a model in a known format",
        where=str(path),
        expected="Caffe, TensorFlow, TF Lite, ONNX or idx",
        looks_like=found.text if found is not None else None,
    )


def _caffe(path: Path, weights: AnyPath | None) -> _Read:
    from modelprep.formats.caffe.inspect import inspect as look

    report = look(path, None if weights is None else Path(weights))
    return report, report.to_json()


def _tf(path: Path) -> _Read:
    from modelprep.formats.tensorflow.inspect import inspect as look

    graph = look(path)
    return graph, graph.to_json()


def _checkpoint(path: Path) -> _Read:
    from modelprep.formats.tensorflow.checkpoint.open import open_checkpoint
    from modelprep.formats.tensorflow.tensor import dtype_name

    with open_checkpoint(path) as checkpoint:
        tensors = [
            {"name": name, "dtype": dtype_name(stored.dtype), "shape": list(stored.shape)}
            for name, stored in sorted(checkpoint.stored.items())
        ]
        return None, {"version": checkpoint.version, "tensors": tensors}


def _onnx(path: Path) -> _Read:
    from modelprep.formats.onnx import inspect as look
    from modelprep.formats.onnx.model import guarded, read_header

    found = read_header(path)
    with guarded(str(path)):
        return None, {**look.summary(found), "nodes": look.nodes(found), "weights": look.initializers(found)}


def _idx(path: Path) -> _Read:
    from modelprep.formats import idx

    header, compression, counts = idx.inspect(path)
    facts: dict[str, Any] = {"file": str(path), "compression": compression, **header.to_json()}
    if counts is not None:
        facts["labels"] = {str(label): count for label, count in counts.items()}
    return idx.meaning(header), facts


def _tflite(path: Path) -> _Read:
    from modelprep.formats.tflite.model import read

    model = read(path)
    return model, tflite_json(model)


def tflite_json(model: Model) -> dict[str, Any]:
    """Return a TF Lite model's facts JSON-ready."""
    return {
        **facts(model, "size", "version", "description"),
        "metadata": list(model.metadata),
        "subgraphs": [_subgraph(graph) for graph in model.subgraphs],
        "signatures": [
            {
                **facts(each, "key", "subgraph"),
                "inputs": {a.name: a.tensor for a in each.inputs},
                "outputs": {a.name: a.tensor for a in each.outputs},
            }
            for each in model.signatures
        ],
    }


def _subgraph(graph: Subgraph) -> dict[str, Any]:
    def tensor(each: Tensor) -> dict[str, Any]:
        told = {**facts(each, "index", "name", "dtype", "bytes"), "shape": list(each.signature or each.shape)}
        scaled = each.quantisation
        if scaled is not None:
            told |= {"scale": list(scaled.scale), "zero_point": list(scaled.zero_point)}
        return told

    def operator(each: Operator) -> dict[str, Any]:
        told = {**facts(each, "name", "version"), **({"custom": each.custom} if each.custom else {})}
        return {**told, "inputs": list(each.inputs), "outputs": list(each.outputs), "options": dict(each.options)}

    return {
        "name": graph.name,
        "inputs": [graph.tensors[i].name for i in graph.inputs],
        "outputs": [graph.tensors[i].name for i in graph.outputs],
        "tensors": [tensor(each) for each in graph.tensors],
        "operators": [operator(each) for each in graph.operators],
    }


_READERS = {"tf": _tf, "checkpoint": _checkpoint, "tflite": _tflite, "onnx": _onnx, "idx": _idx}
