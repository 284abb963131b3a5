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

    Parameters
    ----------
    inputs
        Data inputs it takes (control inputs do not count); None if attribute `N` says it (plus one for ConcatV2).
    attrs
        Attributes that TensorFlow 1.12 knows for it.
    required
        Attributes that must be written out, each with TensorFlow's own default where it has one: adding that changes
        no value. None: no default, a graph without it is refused.
    """

    inputs: int | None
    attrs: tuple[str, ...]
    required: Mapping[str, object] = field(default_factory=dict)


_FORMAT = {"data_format": b"NHWC"}
_WINDOW = {"strides": None, "padding": None, "data_format": b"NHWC"}

#: NodeDef.op -> what the parser makes of it.
TF_OPS: Mapping[str, TfOp] = {
    "Const": TfOp(0, ("dtype", "value"), {"value": None, "dtype": None}),
    "Add": TfOp(2, ("T",)),
    "AddN": TfOp(None, ("N", "T")),
    "AvgPool": TfOp(1, ("T", "data_format", "ksize", "padding", "strides"), {**_WINDOW, "ksize": None}),
    "BiasAdd": TfOp(2, ("T", "data_format"), _FORMAT),
    "ConcatV2": TfOp(None, ("N", "T", "Tidx")),
    "Conv2D": TfOp(2, ("T", "data_format", "dilations", "padding", "strides", "use_cudnn_on_gpu"), _WINDOW),
    "DepthwiseConv2dNative": TfOp(2, ("T", "data_format", "dilations", "padding", "strides"), _WINDOW),
    "Equal": TfOp(2, ("T",)),
    "ExpandDims": TfOp(1, ("T", "Tdim"), {"Tdim": None}),
    "FusedBatchNorm": TfOp(5, ("T", "data_format", "epsilon", "is_training"), {**_FORMAT, "epsilon": 1e-4}),
    "Gather": TfOp(2, ("Tindices", "Tparams", "validate_indices")),
    "Greater": TfOp(2, ("T",)),
    "Identity": TfOp(1, ("T",)),
    "LRN": TfOp(
        1, ("T", "alpha", "beta", "bias", "depth_radius"), {"alpha": 1.0, "beta": 0.5, "bias": 1.0, "depth_radius": 5}
    ),
    "MatMul": TfOp(2, ("T", "transpose_a", "transpose_b")),
    "Maximum": TfOp(2, ("T",)),
    "MaxPool": TfOp(1, ("T", "data_format", "ksize", "padding", "strides"), {**_WINDOW, "ksize": None}),
    "Mean": TfOp(2, ("T", "Tidx", "keep_dims"), {"keep_dims": False}),
    "Minimum": TfOp(2, ("T",)),
    "Mul": TfOp(2, ("T",)),
    "Pad": TfOp(2, ("T", "Tpaddings")),
    "Placeholder": TfOp(0, ("dtype", "shape")),
    "RealDiv": TfOp(2, ("T",)),
    "Relu": TfOp(1, ("T",)),
    "Relu6": TfOp(1, ("T",)),
    "Reshape": TfOp(2, ("T", "Tshape")),
    "ResizeBilinear": TfOp(2, ("T", "align_corners")),
    "Rsqrt": TfOp(1, ("T",)),
    "Shape": TfOp(1, ("T", "out_type"), {"out_type": "DT_INT32"}),
    "Sigmoid": TfOp(1, ("T",)),
    "Softmax": TfOp(1, ("T",)),
    "Softplus": TfOp(1, ("T",)),
    "Split": TfOp(2, ("T", "num_split"), {"num_split": None}),
    "Squeeze": TfOp(1, ("T", "squeeze_dims")),
    "Sub": TfOp(2, ("T",)),
    "Tanh": TfOp(1, ("T",)),
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

#: What the rules that a graph can break say, by id; the sources are in the parser's own functions.
TF_RULES: Mapping[str, str] = {
    "TF01": "the parser knows no such operation ('Unsupported operation')",
    "TF02": "the graph must be frozen: variables must be constants",
    "TF04": "types other than float32 and int32 are refused ('Currently only FLOAT and INT32 are supported')",
    "TF05": "constants must be float32 or int32, with a value that is not longer than the shape ('Unknown DataType')",
    "TF07": "every placeholder needs a shape from the test, which gives one ('Missing input shape for Placeholder')",
    "TF09": "an input's output index must be 0 to 100",
    "TF10": "layers have one output ('The requested output slot #... does not exist')",
    "TF11": "data_format must be NHWC or NCHW",
    "TF12": "padding must be SAME or VALID; strides and ksize must be there",
    "TF13": "the weights must be constant",
    "TF14": "dilations must all be 1",
    "TF15": "dilations are not looked at: the result would be wrong",
    "TF16": "scale, offset, mean and variance must be constant, and the node not in training mode",
    "TF17": "one operand must be constant ('ArmNN only supports fully connected layers with constant weights')",
    "TF18": "transpose_a and transpose_b are not looked at: the result would be wrong",
    "TF21": "the bias must be one-dimensional",
    "TF23": "the axis must be a constant int32, 1 or 3 (a negative one crashes the parser), of 4-dimensional inputs",
    "TF24": "the axis must be a constant int32 other than 0 and 2",
    "TF25": "the shape must be a constant int32 or come straight from Shape, with one -1 at most",
    "TF26": "out_type must be int32",
    "TF27": "the size must be a constant int32, align_corners false",
    "TF29": "the paddings must be a constant int32, not negative",
    "TF30": "the axis must be a constant int32; without keep_dims the result is flattened, batch included",
    "TF31": "ExpandDims takes its position as an attribute, not as the second input that TensorFlow gives it",
    "TF32": "alpha, beta, bias and depth_radius must be written",
    "TF34": "wrong number of inputs ('Unexpected number of inputs for node')",
}
