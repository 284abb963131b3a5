"""Make an ONNX model fit where it is to run: static shapes, constants where an old parser looks for them.

A :class:`~modelprep.formats.onnx.model.Model` is changed in place, and what was done is returned; the caller writes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from modelprep.formats.onnx import fold, initializers, order, shapes, simplify
from modelprep.formats.onnx.graphs import drop
from modelprep.formats.onnx.model import Model
from modelprep.formats.onnx.opset import infer, set_ir_version


@dataclass(frozen=True)
class Wishes:
    """What is asked of :func:`settle` and :func:`rearrange`.

    `batch`: first dimension of each input that is fed. `dims`: symbolic dimension -> number. `initializers`: ``inputs``
    lists every initializer among the graph's inputs. `data`: ``typed`` moves raw_data into float_data, int64_data, ...
    `value_info`: ``drop`` takes out the shapes of values in between, ``static`` only those that are not all numbers.
    `simplify`: take out Identity and Dropout, make Flatten a Reshape and Gemm a MatMul and an Add, lift integer
    Constants into initializers.
    """

    batch: int | None = None
    dims: Mapping[str, int] = field(default_factory=dict)
    initializers: Literal["keep", "inputs"] = "keep"
    data: Literal["keep", "typed"] = "keep"
    value_info: Literal["keep", "static", "drop"] = "keep"
    simplify: bool = False
    ir_version: int | None = None


def settle(model: Model, wishes: Wishes) -> list[str]:
    """Put nodes into order, make dimensions numbers, and take operators that the parser lacks apart, in place.

    Returns what was changed, one line each; empty when the model needed no change. Raises StepError: something asked
    for cannot be done to this model.
    """
    done = ["nodes put into topological order"] if order.sort_nodes(model) else []
    done += shapes.set_dimensions(model, wishes.batch, wishes.dims)
    if not wishes.simplify:
        return done
    if fold.foldable(model) and (count := fold.fold(model)):
        done.append(f"{count} nodes that compute sizes folded")
    if dropped := simplify.drop_passing(model):
        done.append(f"taken out: {', '.join(dropped)}")
    works: tuple[tuple[Callable[[Model], int], str], ...] = (
        (simplify.flatten_to_reshape, "Flatten made Reshape"),
        (simplify.fold_transposes, "Transpose of weights folded"),
        (simplify.gemm_to_matmul, "Gemm made MatMul and Add"),
        (initializers.lift_constants, "Constant made initializers"),
    )
    return done + [f"{count} {what}" for work, what in works if (count := work(model))]


def rearrange(model: Model, wishes: Wishes) -> list[str]:
    """Put constants and shapes where they are expected; as :func:`settle`."""
    done = []
    if wishes.data == "typed" and (count := initializers.type_data(model)):
        done.append(f"{count} constants moved from raw_data to their typed field")
    # Up to IR version 3 an initializer is an input too: those that were made here must be.
    listing = wishes.initializers == "inputs" or model.proto.ir_version < 4
    if listing and (count := initializers.list_as_inputs(model)):
        done.append(f"{count} initializers listed as inputs")
    if wishes.value_info == "static" and (count := drop(model.graph.value_info, shapes.unsettled(model))):
        done.append(f"{count} unsettled shapes of values in between dropped")
    if wishes.value_info == "drop" and model.graph.value_info:
        done.append(f"{len(model.graph.value_info)} shapes of values in between dropped")
        del model.graph.value_info[:]
    if wishes.ir_version is not None and wishes.ir_version != model.proto.ir_version:
        set_ir_version(model, wishes.ir_version)
        done.append(f"IR version {wishes.ir_version}")
    return done


def infer_shapes(model: Model) -> int:
    """Write the shapes of all values as onnx's own inference has them (extra ``onnx``); return how many.

    Raises StepError: the inference finds a contradiction.
    """
    del model.graph.value_info[:]
    made = infer(model, "onnx cannot give the model inferred shapes", check_type=True, strict_mode=True)
    # Field by field: weights that were left out of the message stay where they are.
    graph = type(model.graph).FromString(made.graph.SerializeToString(deterministic=True))
    model.graph.value_info.extend(graph.value_info)
    for held, new in zip(model.graph.output, graph.output, strict=True):
        held.CopyFrom(new)
    return len(model.graph.value_info)
