"""What Arm NN 19.02's parsers accept, as data: the TensorFlow parser's operations, attributes and rules.

Everything here is knowledge about one version of one runtime (tag v19.02, ``src/armnnTfParser/TfParser.cpp``,
``src/armnnUtils/ParserHelper.cpp``; read and, where a message is quoted, run). The operation table is the same in
19.05, 19.08 and 19.11. Attributes are those of TensorFlow 1.12, which the board's tools of that time know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class TfOp:
    """One operation of the TensorFlow parser's table.

    `inputs`: data inputs it takes; None if attribute `N` states it (plus one for ConcatV2). `attrs`: those that
    TensorFlow 1.12 knows for it. `required`: attributes that must be written out, each with TensorFlow's own default:
    adding that changes no value. None: no default, a graph without it is refused.
    """

    inputs: int | None
    attrs: tuple[str, ...]
    required: Mapping[str, object] = field(default_factory=dict)


_LRN = {"alpha": 1.0, "beta": 0.5, "bias": 1.0, "depth_radius": 5}
_FORMAT = {"data_format": b"NHWC"}
_WINDOW = {"strides": None, "padding": None, "data_format": b"NHWC"}

#: NodeDef.op -> what the parser makes of it.
TF_OPS: Mapping[str, TfOp] = {
    "Const": TfOp(0, ("dtype", "value"), {"value": None, "dtype": None}),
    **dict.fromkeys(("Add", "Equal", "Greater", "Maximum", "Minimum", "Mul", "RealDiv", "Sub"), TfOp(2, ("T",))),
    **dict.fromkeys(("Identity", "Relu", "Relu6", "Rsqrt", "Sigmoid", "Softmax", "Softplus", "Tanh"), TfOp(1, ("T",))),
    "AddN": TfOp(None, ("N", "T")),
    "AvgPool": TfOp(1, ("T", "data_format", "ksize", "padding", "strides"), {**_WINDOW, "ksize": None}),
    "BiasAdd": TfOp(2, ("T", "data_format"), _FORMAT),
    "ConcatV2": TfOp(None, ("N", "T", "Tidx")),
    "Conv2D": TfOp(2, ("T", "data_format", "dilations", "padding", "strides", "use_cudnn_on_gpu"), _WINDOW),
    "DepthwiseConv2dNative": TfOp(2, ("T", "data_format", "dilations", "padding", "strides"), _WINDOW),
    "ExpandDims": TfOp(1, ("T", "Tdim"), {"Tdim": None}),
    "FusedBatchNorm": TfOp(5, ("T", "data_format", "epsilon", "is_training"), {**_FORMAT, "epsilon": 1e-4}),
    "Gather": TfOp(2, ("Tindices", "Tparams", "validate_indices")),
    "LRN": TfOp(1, ("T", *_LRN), _LRN),
    "MatMul": TfOp(2, ("T", "transpose_a", "transpose_b")),
    "MaxPool": TfOp(1, ("T", "data_format", "ksize", "padding", "strides"), {**_WINDOW, "ksize": None}),
    "Mean": TfOp(2, ("T", "Tidx", "keep_dims"), {"keep_dims": False}),
    "Pad": TfOp(2, ("T", "Tpaddings")),
    "Placeholder": TfOp(0, ("dtype", "shape")),
    "Reshape": TfOp(2, ("T", "Tshape")),
    "ResizeBilinear": TfOp(2, ("T", "align_corners")),
    "Shape": TfOp(1, ("T", "out_type"), {"out_type": "DT_INT32"}),
    "Split": TfOp(2, ("T", "num_split"), {"num_split": None}),
    "Squeeze": TfOp(1, ("T", "squeeze_dims")),
}
#: Skipped with all that hangs on control inputs.
TF_IGNORED_OPS = frozenset({"Assert"})

#: Newer names of operations that the parser knows by the older one, the values being the same.
TF_RENAMED_OPS: Mapping[str, str] = {
    "AddV2": "Add",
    "FusedBatchNormV2": "FusedBatchNorm",
    "FusedBatchNormV3": "FusedBatchNorm",
}
#: Attributes that came after TensorFlow 1.12, with the values at which leaving them out changes nothing. ``...``: any.
TF_NEUTRAL_ATTRS: Mapping[str, object] = {
    "U": "DT_FLOAT",
    "exponential_avg_factor": ...,  # read in training only
    "explicit_paddings": [],  # given only with padding EXPLICIT
    "half_pixel_centers": False,
    "incompatible_shape_error": ...,  # what happens to shapes that do not fit
    "grad_a": ...,
    "grad_b": ...,
}
