"""Make an ONNX model fit where it is to run: static shapes, constants where an old parser looks, another opset.

:func:`fix` changes a :class:`~modelprep.formats.onnx.model.Model` in place and says what it did; the caller writes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from modelprep.errors import StepError
from modelprep.formats.onnx import initialisers, shapes, simplify
from modelprep.formats.onnx.model import Model


@dataclass(frozen=True)
class Wishes:
    """What is asked of :func:`fix`.

    Parameters
    ----------
    batch
        First dimension of each input that is fed.
    dims
        Symbolic dimension -> number.
    initialisers
        ``inputs`` lists every initialiser among the graph's inputs.
    data
        ``typed`` moves raw_data into float_data, int64_data, ...
    value_info
        ``drop`` takes out the shapes of values in between, ``static`` only those that are not all numbers.
    simplify
        Take out Identity and Dropout, make Flatten a Reshape and Gemm a MatMul and an Add, lift integer Constants
        into initialisers.
    ir_version
        The file's IR version.
    """

    batch: int | None = None
    dims: Mapping[str, int] = field(default_factory=dict)
    initialisers: Literal["keep", "inputs"] = "keep"
    data: Literal["keep", "typed"] = "keep"
    value_info: Literal["keep", "static", "drop"] = "keep"
    simplify: bool = False
    ir_version: int | None = None


def fix(model: Model, wishes: Wishes) -> list[str]:
    """Do what is asked, in place.

    Returns
    -------
    list of str
        What was changed, one line each; empty when the model was as wanted already.

    Raises
    ------
    StepError
        Something asked for cannot be done to this model.
    """
    done = []
    if shapes.sort_nodes(model):
        done.append("nodes put into topological order")
    done += shapes.set_dimensions(model, wishes.batch, wishes.dims)
    if wishes.simplify:
        if dropped := simplify.drop_passing(model):
            done.append(f"taken out: {', '.join(dropped)}")
        if count := simplify.flatten_to_reshape(model):
            done.append(f"{count} Flatten made Reshape")
        if count := simplify.gemm_to_matmul(model):
            done.append(f"{count} Gemm made MatMul and Add")
        if count := initialisers.lift_constants(model):
            done.append(f"{count} Constant made initialisers")
    if wishes.data == "typed" and (count := initialisers.type_data(model)):
        done.append(f"{count} constants moved from raw_data to their typed field")
    if wishes.initialisers == "inputs" and (count := initialisers.list_as_inputs(model)):
        done.append(f"{count} initialisers listed as inputs")
    if wishes.value_info == "static" and (count := shapes.drop_value_info(model, shapes.unsettled(model))):
        done.append(f"{count} unsettled shapes of values in between dropped")
    if wishes.value_info == "drop" and model.graph.value_info:
        done.append(f"{len(model.graph.value_info)} shapes of values in between dropped")
        del model.graph.value_info[:]
    if wishes.ir_version is not None and wishes.ir_version != model.proto.ir_version:
        _set_ir_version(model, wishes.ir_version)
        done.append(f"IR version {wishes.ir_version}")
    return done


def _set_ir_version(model: Model, version: int) -> None:
    """Set the IR version, where the model holds nothing that came later (onnx's own version history)."""
    if not 3 <= version <= 20:
        raise StepError("the IR version must be 3 or later", where=model.where, got=str(version))
    proto = model.proto
    listed = {value.name for value in proto.graph.input}
    later = [
        (4, "initialisers that are not inputs", any(t.name not in listed for t in proto.graph.initializer)),
        (5, "sparse initialisers", bool(proto.graph.sparse_initializer)),
        (7, "training information", bool(proto.training_info)),
        (8, "functions of its own", bool(proto.functions)),
        (4, "bfloat16 weights", any(t.data_type == 16 for t in proto.graph.initializer)),
        (9, "8-bit floating-point weights", any(17 <= t.data_type <= 20 for t in proto.graph.initializer)),
        (10, "4-bit weights", any(21 <= t.data_type <= 22 for t in proto.graph.initializer)),
    ]
    for since, what, there in later:
        if there and version < since:
            raise StepError(
                f"the model has {what}, which need IR version {since}", where=model.where, got=f"IR version {version}",
                hint="initialisers: inputs" if since == 4 and what.startswith("init") else None,
            )  # fmt: skip
    proto.ir_version = version


def convert_opset(model: Model, opset: int, folder: Path) -> Path | None:
    """Convert a model to another opset with onnx's own converter (extra ``onnx``).

    Parameters
    ----------
    model
        The model; it is not changed.
    opset
        The opset of the default domain that is wanted.
    folder
        Where to write.

    Returns
    -------
    Path or None
        The converted file, or None where the model has that opset already.

    Raises
    ------
    StepError
        onnx has no way from one to the other for an operator of the model, or the model is over 2 GiB.
    """
    if model.opset() == opset:
        return None
    return _through_library(model, folder, f"opset {opset}", opset)


def infer_shapes(model: Model, folder: Path) -> Path:
    """Compute the shapes of all values with onnx's own inference (extra ``onnx``); give the file."""
    del model.graph.value_info[:]
    return _through_library(model, folder, "inferred shapes", None)


def _through_library(model: Model, folder: Path, what: str, opset: int | None) -> Path:
    from modelprep.formats.onnx.pieces import write

    source, result = folder / "source.onnx", folder / f"{'shapes' if opset is None else 'opset'}.onnx"
    write(model.pieces(), source)
    import onnx
    from onnx import shape_inference, version_converter

    try:
        loaded = onnx.load_model_from_string(source.read_bytes())
        made = (
            shape_inference.infer_shapes(loaded, check_type=True, strict_mode=True)
            if opset is None
            else version_converter.convert_version(loaded, opset)
        )
        result.write_bytes(made.SerializeToString(deterministic=True))
    except Exception as error:
        raise StepError(
            f"onnx cannot give the model {what}", where=model.where, got=str(error).strip().splitlines()[0][:300],
        ) from error  # fmt: skip
    return result
