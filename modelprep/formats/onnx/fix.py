"""Make an ONNX model fit where it is to run: static shapes, constants where an old parser looks, another opset.

:func:`fix` changes a :class:`~modelprep.formats.onnx.model.Model` in place and says what it did; the caller writes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from modelprep.formats.onnx import fold, initializers, ir, order, shapes, simplify
from modelprep.formats.onnx.model import Model, refusal


@dataclass(frozen=True)
class Wishes:
    """What is asked of :func:`fix`.

    Parameters
    ----------
    batch
        First dimension of each input that is fed.
    dims
        Symbolic dimension -> number.
    initializers
        ``inputs`` lists every initializer among the graph's inputs.
    data
        ``typed`` moves raw_data into float_data, int64_data, ...
    value_info
        ``drop`` takes out the shapes of values in between, ``static`` only those that are not all numbers.
    simplify
        Take out Identity and Dropout, make Flatten a Reshape and Gemm a MatMul and an Add, lift integer Constants
        into initializers.
    """

    batch: int | None = None
    dims: Mapping[str, int] = field(default_factory=dict)
    initializers: Literal["keep", "inputs"] = "keep"
    data: Literal["keep", "typed"] = "keep"
    value_info: Literal["keep", "static", "drop"] = "keep"
    simplify: bool = False
    ir_version: int | None = None


def fix(model: Model, wishes: Wishes) -> list[str]:
    """Do what is asked, in place.

    Returns what was changed, one line each; empty when the model needed no change. Raises StepError: something asked
    for cannot be done to this model.
    """
    done = settle(model, wishes)
    return done + rearrange(model, wishes)


def settle(model: Model, wishes: Wishes) -> list[str]:
    """Put nodes into order, make dimensions numbers, and take operators that the parser lacks apart; as :func:`fix`."""
    done = []
    if order.sort_nodes(model):
        done.append("nodes put into topological order")
    done += shapes.set_dimensions(model, wishes.batch, wishes.dims)
    if not wishes.simplify:
        return done
    if fold.foldable(model) and (count := fold.fold(model)):
        done.append(f"{count} nodes that compute sizes folded")
    if dropped := simplify.drop_passing(model):
        done.append(f"taken out: {', '.join(dropped)}")
    if count := simplify.flatten_to_reshape(model):
        done.append(f"{count} Flatten made Reshape")
    if count := simplify.fold_transposes(model):
        done.append(f"{count} Transpose of weights folded")
    if count := simplify.gemm_to_matmul(model):
        done.append(f"{count} Gemm made MatMul and Add")
    if count := initializers.lift_constants(model):
        done.append(f"{count} Constant made initializers")
    return done


def rearrange(model: Model, wishes: Wishes) -> list[str]:
    """Put constants and shapes where they are wanted; as :func:`fix`."""
    done = []
    if wishes.data == "typed" and (count := initializers.type_data(model)):
        done.append(f"{count} constants moved from raw_data to their typed field")
    # Up to IR version 3 an initializer is an input too: those that were made here must be.
    listing = wishes.initializers == "inputs" or model.proto.ir_version < 4
    if listing and (count := initializers.list_as_inputs(model)):
        done.append(f"{count} initializers listed as inputs")
    if wishes.value_info == "static" and (count := shapes.drop_value_info(model, shapes.unsettled(model))):
        done.append(f"{count} unsettled shapes of values in between dropped")
    if wishes.value_info == "drop" and model.graph.value_info:
        done.append(f"{len(model.graph.value_info)} shapes of values in between dropped")
        del model.graph.value_info[:]
    if wishes.ir_version is not None and wishes.ir_version != model.proto.ir_version:
        ir.set_version(model, wishes.ir_version)
        done.append(f"IR version {wishes.ir_version}")
    return done


def infer_shapes(model: Model) -> int:
    """Write the shapes of all values as onnx's own inference has them (extra ``onnx``); give how many.

    Raises StepError: the inference finds a contradiction.
    """
    import onnx
    from onnx import shape_inference

    order.refuse_growing(model)
    del model.graph.value_info[:]
    loaded = onnx.load_model_from_string(model.proto.SerializeToString())
    with refusal("onnx cannot give the model inferred shapes", model.where):
        made = shape_inference.infer_shapes(loaded, check_type=True, strict_mode=True, data_prop=True)
    # Field by field: weights that were left out of the message stay where they are.
    graph = type(model.graph).FromString(made.graph.SerializeToString(deterministic=True))
    model.graph.value_info.extend(graph.value_info)
    for held, new in zip(model.graph.output, graph.output, strict=True):
        held.CopyFrom(new)
    return len(model.graph.value_info)
