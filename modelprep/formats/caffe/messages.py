"""Caffe's messages: NetParameter and all that it holds, of every generation (V0, V1, V2).

The schema is ``schema.tsv`` and, for what public forks add, ``forks.tsv``. Its messages live in a descriptor pool of
their own, so that they never meet those of a real caffe in the same process. Fields are reached as on any protobuf
message. As the classes are made at run time, no type checker knows their fields: the aliases below name them in
signatures.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from modelprep.formats import protos
from modelprep.formats.caffe import forks

if TYPE_CHECKING:
    from google.protobuf.message import Message

#: Messages of the schema. Their fields are not known to a type checker.
NetParameter: TypeAlias = Any
LayerParameter: TypeAlias = Any
V1LayerParameter: TypeAlias = Any
V0LayerParameter: TypeAlias = Any

#: Values of enum Phase.
TRAIN, TEST = 0, 1
#: Layers of one net. The deepest that were published have about 1,500.
MAX_LAYERS = 20_000

PHASES = {"TRAIN": TRAIN, "TEST": TEST}

#: The types that BVLC Caffe 1.0 registers, with any build options (``caffe.layer_type_list()``; REGISTER_LAYER_*
#: in its sources), and those of the master branch after it (Clip, Swish).
_BVLC_TYPES = (
    "AbsVal", "Accuracy", "ArgMax", "BNLL", "BatchNorm", "BatchReindex", "Bias", "Clip", "Concat", "ContrastiveLoss",
    "Convolution", "Crop", "Data", "Deconvolution", "Dropout", "DummyData", "ELU", "Eltwise", "Embed",
    "EuclideanLoss", "Exp", "Filter", "Flatten", "HDF5Data", "HDF5Output", "HingeLoss", "Im2col", "ImageData",
    "InfogainLoss", "InnerProduct", "Input", "LRN", "LSTM", "LSTMUnit", "Log", "MVN", "MemoryData",
    "MultinomialLogisticLoss", "PReLU", "Parameter", "Pooling", "Power", "Python", "RNN", "ReLU", "Reduction",
    "Reshape", "SPP", "Scale", "Sigmoid", "SigmoidCrossEntropyLoss", "Silence", "Slice", "Softmax", "SoftmaxWithLoss",
    "Split", "Swish", "TanH", "Threshold", "Tile", "WindowData",
)  # fmt: skip


@protos.once
def schema() -> protos.Schema:
    """Return Caffe's schema with the fields of its forks, loaded once a process."""
    own = Path(__file__).with_name("schema.tsv").read_text("utf-8")
    return protos.Schema("caffe", f"{own}\n{forks.table().schema}")


@protos.once
def message_class(name: str) -> type[Message]:
    """Return the class of a message by its name in Caffe's schema (``NetParameter``)."""
    return schema().message(name)


def new(name: str) -> Any:
    """Make an empty message by its name in Caffe's schema (``LayerParameter``)."""
    return message_class(name)()


def copy_of(message: Any) -> Any:
    """Make a deep copy of a message."""
    twin = type(message)()
    twin.CopyFrom(message)
    return twin


def chosen(message: Any, field: str) -> str:
    """Return the name of the value that an enum field of a message has."""
    return str(message.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number[getattr(message, field)].name)


def assign(message: Any, field: str, value: Any) -> None:
    """Set a field of any kind; a repeated one gets another value, or the values of a list."""
    target = getattr(message, field)
    if hasattr(target, "extend"):
        target.extend([value] if isinstance(value, (int, float, str)) else value)
    elif hasattr(target, "CopyFrom"):
        target.CopyFrom(value)
    else:
        setattr(message, field, value)


def replace_layers(net: NetParameter, layers: Sequence[LayerParameter]) -> None:
    """Replace a net's V2 layers by `layers` (which may be layers of the net)."""
    kept = [copy_of(layer) for layer in layers]
    net.ClearField("layer")
    net.layer.extend(kept)


def generation(net: NetParameter) -> str:
    """Say in which form a net's layers are written: ``V0``, ``V1``, ``V2``, ``mixed`` (both) or ``empty``."""
    if net.layer and net.layers:
        return "mixed"
    if net.layer:
        return "V2"
    if any(layer.HasField("layer") for layer in net.layers):
        return "V0"
    return "V1" if net.layers else "empty"


def known_layer_types(*, of_forks: bool = False) -> tuple[str, ...]:
    """Return the layer types that BVLC Caffe knows, sorted; with `of_forks` those of its public forks too.

    Another type is no error here, as a build of Caffe may have more. Callers warn, with
    :func:`modelprep.errors.nearest` for the name that was perhaps meant.
    """
    return tuple(sorted({*_BVLC_TYPES, *forks.table().types} if of_forks else _BVLC_TYPES))
