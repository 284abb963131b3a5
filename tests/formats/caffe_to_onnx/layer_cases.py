"""Random nets of a single layer, by layer type: prototxt, and what its inputs hold.

Each maker draws parameters that Caffe takes; what it refuses is tested elsewhere.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Case:
    """A net: the text of its layers, the shapes of its inputs, and the kind of numbers for some of them."""

    layers: str
    inputs: dict[str, tuple[int, ...]]
    kinds: dict[str, tuple[str, float]] = field(default_factory=dict)
    tops: tuple[str, ...] = ("y",)
    type: str = ""

    def text(self) -> str:
        head = "".join(
            f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ '
            + " ".join(f"dim: {dim}" for dim in shape)
            + " } } }\n"
            for name, shape in self.inputs.items()
        )
        return f'name: "{self.type or "case"}"\n{head}{self.layers}'


Maker = Callable[[random.Random], Case]
MAKERS: dict[str, Maker] = {}


def maker(type_: str) -> Callable[[Maker], Maker]:
    def keep(function: Maker) -> Maker:
        MAKERS[type_] = function
        return function

    return keep


def layer(type_: str, params: str = "", bottoms: str = "x", tops: str = "y", name: str = "l") -> str:
    wires = " ".join(f'bottom: "{b}"' for b in bottoms.split()) + " " + " ".join(f'top: "{t}"' for t in tops.split())
    return f'layer {{ name: "{name}" type: "{type_}" {wires} {params} }}\n'


def four(r: random.Random, low: int = 1, high: int = 9) -> tuple[int, ...]:
    return (r.randint(1, 3), r.randint(1, 6), r.randint(low, high), r.randint(low, high))


def some(r: random.Random, least: int = 1, most: int = 4) -> tuple[int, ...]:
    return tuple(r.randint(1, 6) for _ in range(r.randint(least, most)))


def number(r: random.Random, low: float = -2, high: float = 2) -> float:
    return round(r.uniform(low, high), 3)


def pointwise(
    type_: str, params: Callable[[random.Random], str] = lambda r: "", kind: tuple[str, float] = ("normal", 3)
) -> None:
    def make(r: random.Random) -> Case:
        return Case(layer(type_, params(r)), {"x": some(r)}, {"x": kind})

    MAKERS[type_] = make


pointwise("AbsVal")
pointwise("Sigmoid")
pointwise("TanH")
pointwise("BNLL", kind=("normal", 20))
pointwise("ReLU", lambda r: r.choice(["", f"relu_param {{ negative_slope: {number(r)} }}"]))
pointwise("ELU", lambda r: f"elu_param {{ alpha: {number(r, 0)} }}")
pointwise("Threshold", lambda r: f"threshold_param {{ threshold: {number(r)} }}")
pointwise("Swish", lambda r: r.choice(["", f"swish_param {{ beta: {number(r)} }}"]))
pointwise("Dropout", lambda r: r.choice(["", "dropout_param { dropout_ratio: 0.7 }"]))
pointwise(
    "Exp",
    lambda r: (
        f"exp_param {{ base: {r.choice([-1, number(r, 0.5, 3)])} scale: {number(r)} "
        f"shift: {r.choice([0, number(r)])} }}"
    ),
)
pointwise(
    "Log",
    lambda r: (
        f"log_param {{ base: {r.choice([-1, number(r, 1.5, 9)])} scale: {number(r, 0.1)} shift: {number(r, 0.1)} }}"
    ),
    ("positive", 3),
)


@maker("Power")
def _power(r: random.Random) -> Case:
    power = r.choice([0, 1, 2, 3, -1, 0.5, number(r)])
    scale, shift = r.choice([1, 0, number(r, 0.1)]), r.choice([0, number(r, 0.1)]) or (0.5 if power < 0 else 0)
    return Case(
        layer("Power", f"power_param {{ power: {power} scale: {scale} shift: {shift} }}"), {"x": some(r)},
        {"x": ("positive", 3)},
    )  # fmt: skip


def _window(r: random.Random, axes: int, size: tuple[int, ...], *, floor: bool = True) -> tuple[str, int]:
    kernel = [r.randint(1, max(1, min(4, s))) for s in size]
    if axes == 2 and r.random() < 0.4:
        text = f"kernel_h: {kernel[0]} kernel_w: {kernel[1]}"
    else:
        kernel = [min(kernel)] * axes
        text = f"kernel_size: {kernel[0]}"
    return text, max(kernel)


@maker("Convolution")
def _convolution(r: random.Random) -> Case:
    axes = r.choice([2, 2, 2, 2, 1, 3])
    group = r.choice([1, 1, 2, 3])
    channels, outputs = group * r.randint(1, 3), group * r.randint(1, 3)
    size = tuple(r.randint(5, 9) for _ in range(axes))
    window, _ = _window(r, axes, (3,) * axes)
    text = f"num_output: {outputs} group: {group} {window}"
    if axes == 2 and r.random() < 0.3:
        text += f" pad_h: {r.randint(0, 2)} pad_w: {r.randint(0, 2)}"
        text += f" stride_h: {r.randint(1, 3)} stride_w: {r.randint(1, 3)}"
    else:
        text += f" pad: {r.randint(0, 2)} stride: {r.randint(1, 3)}"
    text += r.choice(["", " dilation: 2"]) + r.choice(["", " bias_term: false"])
    many = r.random() < 0.2 and axes == 2
    shape = (r.randint(1, 3), channels, *size)
    inputs = {"x": shape, "x2": shape} if many else {"x": shape}
    wires = ("x x2", "y y2") if many else ("x", "y")
    return Case(layer("Convolution", f"convolution_param {{ {text} }}", *wires), inputs, tops=tuple(wires[1].split()))


@maker("Deconvolution")
def _deconvolution(r: random.Random) -> Case:
    group = r.choice([1, 1, 2, 3])
    channels, outputs = group * r.randint(1, 3), group * r.randint(1, 3)
    kernel = r.randint(1, 4)
    text = (
        f"num_output: {outputs} group: {group} kernel_size: {kernel} stride: {r.randint(1, 3)} "
        f"pad: {r.randint(0, kernel - 1) // 2}" + r.choice(["", " bias_term: false"]) + r.choice(["", " dilation: 2"])
        + r.choice(["", ' weight_filler { type: "bilinear" }'])
    )  # fmt: skip
    return Case(
        layer("Deconvolution", f"convolution_param {{ {text} }}"),
        {"x": (r.randint(1, 2), channels, r.randint(3, 6), r.randint(3, 6))},
    )


@maker("Im2col")
def _im2col(r: random.Random) -> Case:
    text = f"kernel_size: {r.randint(1, 3)} stride: {r.randint(1, 2)} pad: {r.randint(0, 1)}" + r.choice(
        ["", " dilation: 2"]
    )
    return Case(layer("Im2col", f"convolution_param {{ {text} }}"), {"x": (2, r.randint(1, 3), 7, r.randint(5, 8))})


def _pool_text(r: random.Random) -> str:
    kernel = r.randint(1, 4)
    return f"kernel_size: {kernel} stride: {r.randint(1, kernel)} pad: {r.randint(0, kernel - 1)}"


@maker("Pooling")
def _pooling(r: random.Random) -> Case:
    method = r.choice(["MAX", "AVE"])
    if r.random() < 0.15:
        text = "global_pooling: true"
    elif r.random() < 0.3:
        high, wide = r.randint(1, 4), r.randint(1, 4)
        text = (
            f"kernel_h: {high} kernel_w: {wide} stride_h: {r.randint(1, high)} stride_w: {r.randint(1, wide)} "
            f"pad_h: {r.randint(0, high - 1)} pad_w: {r.randint(0, wide - 1)}"
        )
    else:
        text = _pool_text(r)
    if r.random() < 0.3 and "global" not in text:
        text += " round_mode: FLOOR"
    mask = method == "MAX" and r.random() < 0.2 and "global" not in text
    return Case(
        layer("Pooling", f"pooling_param {{ pool: {method} {text} }}", tops="y y2" if mask else "y"),
        {"x": four(r, 4, 9)}, tops=("y", "y2") if mask else ("y",),
    )  # fmt: skip


@maker("SPP")
def _spp(r: random.Random) -> Case:
    height = r.randint(1, 3)
    size = 2 ** (height - 1)
    sizes = [size * r.randint(1, 3) for _ in range(2)]
    text = f"pyramid_height: {height} pool: {r.choice(['MAX', 'AVE'])}"
    return Case(layer("SPP", f"spp_param {{ {text} }}"), {"x": (r.randint(1, 2), r.randint(1, 4), *sizes)})


@maker("LRN")
def _lrn(r: random.Random) -> Case:
    text = f"local_size: {r.choice([1, 3, 5])} alpha: {number(r, 0, 2)} beta: {number(r, 0.1, 1.5)}"
    text += r.choice([" norm_region: WITHIN_CHANNEL", "", f" k: {number(r, 0.5, 3)}"])
    return Case(layer("LRN", f"lrn_param {{ {text} }}"), {"x": four(r, 5, 9)})


@maker("InnerProduct")
def _inner_product(r: random.Random) -> Case:
    shape = some(r, 2)
    axis = r.choice([1, r.randint(0, len(shape) - 1), -1])
    text = f"num_output: {r.randint(1, 6)} axis: {axis}" + r.choice(["", " bias_term: false"])
    text += r.choice(["", "", " transpose: true"])
    return Case(layer("InnerProduct", f"inner_product_param {{ {text} }}"), {"x": shape})


@maker("Embed")
def _embed(r: random.Random) -> Case:
    rows = r.randint(2, 9)
    text = f"num_output: {r.randint(1, 6)} input_dim: {rows}" + r.choice(["", " bias_term: false"])
    return Case(layer("Embed", f"embed_param {{ {text} }}"), {"x": some(r, 1, 3)}, {"x": ("index", rows)})


@maker("BatchNorm")
def _batch_norm(r: random.Random) -> Case:
    text = r.choice(
        ["", f"batch_norm_param {{ eps: {number(r, 0.0001, 0.1)} }}", "batch_norm_param { use_global_stats: true }"]
    )
    shape = r.choice([four(r), some(r, 2, 3)])
    return Case(layer("BatchNorm", text), {"x": shape})


@maker("BatchNorm and Scale")
def _batch_norm_scale(r: random.Random) -> Case:
    bias = r.choice(["bias_term: true", ""])
    first, second = r.choice([("y", "y"), ("b", "y")])
    text = layer("BatchNorm", tops=first, name="bn") + layer(
        "Scale", f"scale_param {{ {bias} }}", first, second, "scale"
    )
    return Case(text, {"x": four(r)})


@maker("Scale")
def _scale(r: random.Random) -> Case:
    shape = some(r, 2)
    axis = r.randint(0, len(shape) - 1)
    axes = r.choice([1, -1, r.randint(1, len(shape) - axis), 0])
    bias = r.choice(["", " bias_term: true"])
    if r.random() < 0.4:
        many = r.randint(1, len(shape) - axis)
        return Case(
            layer("Scale", f"scale_param {{ axis: {axis}{bias} }}", "x s"), {"x": shape, "s": shape[axis : axis + many]}
        )
    return Case(layer("Scale", f"scale_param {{ axis: {axis} num_axes: {axes}{bias} }}"), {"x": shape})


@maker("Bias")
def _bias(r: random.Random) -> Case:
    shape = some(r, 2)
    axis = r.randint(0, len(shape) - 1)
    if r.random() < 0.4:
        many = r.randint(1, len(shape) - axis)
        return Case(
            layer("Bias", f"bias_param {{ axis: {axis} }}", "x s"), {"x": shape, "s": shape[axis : axis + many]}
        )
    axes = r.choice([1, -1, r.randint(1, len(shape) - axis), 0])
    return Case(layer("Bias", f"bias_param {{ axis: {axis} num_axes: {axes} }}"), {"x": shape})


@maker("PReLU")
def _prelu(r: random.Random) -> Case:
    return Case(layer("PReLU", r.choice(["", "prelu_param { channel_shared: true }"])), {"x": some(r, 2)})


@maker("Softmax")
def _softmax(r: random.Random) -> Case:
    shape = some(r, 1)
    axis = r.randint(-len(shape), len(shape) - 1)
    return Case(layer("Softmax", f"softmax_param {{ axis: {axis} }}"), {"x": shape})


@maker("ArgMax")
def _argmax(r: random.Random) -> Case:
    shape = some(r, 2)
    text = ""
    axis = None
    if r.random() < 0.6:
        axis = r.randint(0, len(shape) - 1)
        text += f" axis: {axis}"
    size = shape[axis] if axis is not None else 1
    if axis is None:
        for dim in shape[1:]:
            size *= dim
    text += f" top_k: {r.randint(1, size)}" + r.choice(["", " out_max_val: true"])
    return Case(layer("ArgMax", f"argmax_param {{{text} }}"), {"x": shape}, {"x": ("whole", 3)})


@maker("Eltwise")
def _eltwise(r: random.Random) -> Case:
    many, shape = r.randint(2, 4), some(r)
    names = [f"x{i}" for i in range(many)]
    operation = r.choice(["SUM", "SUM", "PROD", "MAX"])
    text = f"operation: {operation}"
    if operation == "SUM" and r.random() < 0.6:
        text += "".join(f" coeff: {r.choice([1, -1, number(r)])}" for _ in names)
    return Case(layer("Eltwise", f"eltwise_param {{ {text} }}", " ".join(names)), dict.fromkeys(names, shape))


@maker("Concat")
def _concat(r: random.Random) -> Case:
    shape = list(some(r, 2))
    axis = r.randint(-len(shape), len(shape) - 1)
    inputs = {}
    for i in range(r.randint(1, 4)):
        shape[axis] = r.randint(1, 5)
        inputs[f"x{i}"] = tuple(shape)
    text = f"concat_dim: {axis}" if axis >= 0 and r.random() < 0.3 else f"axis: {axis}"
    return Case(layer("Concat", f"concat_param {{ {text} }}", " ".join(inputs)), inputs)


@maker("Slice")
def _slice(r: random.Random) -> Case:
    shape = list(some(r, 2))
    axis = r.randint(-len(shape), len(shape) - 1)
    many = r.randint(1, 4)
    points = ""
    if r.random() < 0.5:
        cuts = sorted(r.sample(range(1, 9), many - 1))
        points = "".join(f" slice_point: {cut}" for cut in cuts)
        shape[axis] = 9
    else:
        shape[axis] = many * r.randint(1, 3)
    tops = " ".join(f"y{i}" for i in range(many))
    return Case(
        layer("Slice", f"slice_param {{ axis: {axis}{points} }}", tops=tops),
        {"x": tuple(shape)},
        tops=tuple(tops.split()),
    )


@maker("Split")
def _split(r: random.Random) -> Case:
    return Case(layer("Split", tops="y0 y1"), {"x": some(r)}, tops=("y0", "y1"))


@maker("Reshape")
def _reshape(r: random.Random) -> Case:
    text, shape = r.choice([
        ("shape { dim: 0 dim: -1 }", (2, 3, 4)),
        ("shape { dim: -1 }", (2, 3, 4)),
        ("shape { dim: 4 dim: 0 dim: -1 }", (2, 3, 4)),
        ("shape { dim: -1 dim: 6 }", (2, 3, 4)),
        ("shape { dim: 2 dim: 2 } axis: 1 num_axes: 1", (3, 4, 5)),
        ("shape { dim: -1 } axis: 1", (3, 4, 5)),
        ("shape { dim: 2 dim: -1 } axis: -2", (2, 6, 4)),
        ("shape { dim: 1 } axis: 1 num_axes: 0", (3, 4, 5)),
        ("shape { dim: 15 } axis: -3 num_axes: 2", (2, 4, 5, 3)),
        ("shape { dim: 0 dim: 0 dim: 0 dim: -1 }", (1, 2, 3, 4)),
    ])  # fmt: skip
    return Case(layer("Reshape", f"reshape_param {{ {text} }}"), {"x": shape})


@maker("Flatten")
def _flatten(r: random.Random) -> Case:
    shape = some(r, 2)
    axis = r.randint(0, len(shape) - 1)
    text = r.choice(["", f"flatten_param {{ axis: {axis} end_axis: {r.randint(axis, len(shape) - 1)} }}"])
    return Case(layer("Flatten", text), {"x": shape})


@maker("Permute")
def _permute(r: random.Random) -> Case:
    shape = some(r, 2)
    order = r.sample(range(len(shape)), r.randint(1, len(shape)))
    return Case(
        layer("Permute", "permute_param { " + " ".join(f"order: {axis}" for axis in order) + " }"), {"x": shape}
    )


@maker("Tile")
def _tile(r: random.Random) -> Case:
    shape = some(r, 2)
    text = f"axis: {r.randint(-len(shape), len(shape) - 1)} tiles: {r.randint(1, 4)}"
    return Case(layer("Tile", f"tile_param {{ {text} }}"), {"x": shape})


@maker("Crop")
def _crop(r: random.Random) -> Case:
    like = four(r, 1, 5)
    axis = r.randint(1, 3)
    offsets = [r.randint(0, 2) for _ in range(r.choice([0, 1, 4 - axis]))]
    data = tuple(dim if i < axis else dim + 2 for i, dim in enumerate(like))
    text = f"axis: {axis} " + " ".join(f"offset: {offset}" for offset in offsets)
    return Case(layer("Crop", f"crop_param {{ {text} }}", "x like"), {"x": data, "like": like})


@maker("Reduction")
def _reduction(r: random.Random) -> Case:
    shape = some(r, 1)
    text = f"operation: {r.choice(['SUM', 'ASUM', 'SUMSQ', 'MEAN'])} axis: {r.randint(-len(shape), len(shape) - 1)}"
    text += r.choice(["", f" coeff: {number(r)}"])
    return Case(layer("Reduction", f"reduction_param {{ {text} }}"), {"x": shape})


@maker("MVN")
def _mvn(r: random.Random) -> Case:
    shape = (r.randint(1, 3), r.randint(2, 4), r.randint(2, 6), r.randint(2, 6))
    text = r.choice(["", "across_channels: true"]) + r.choice(["", " normalize_variance: false", " eps: 0.01"])
    if r.random() < 0.3:
        shape = shape[: r.choice([2, 3])]
        text += "" if len(shape) == 3 else " across_channels: true" if "across" not in text else ""
    return Case(layer("MVN", f"mvn_param {{ {text} }}"), {"x": shape})


@maker("Parameter")
def _parameter(r: random.Random) -> Case:
    shape = some(r)
    text = "parameter_param { shape { " + " ".join(f"dim: {dim}" for dim in shape) + " } }"
    return Case(layer("Parameter", text, "", "p") + layer("Eltwise", "", "x p", name="sum"), {"x": shape})


@maker("DummyData")
def _dummy(r: random.Random) -> Case:
    shape = some(r)
    dims = " ".join(f"dim: {dim}" for dim in shape)
    filler = r.choice(["", f'data_filler {{ type: "constant" value: {number(r)} }}'])
    text = f"dummy_data_param {{ shape {{ {dims} }} {filler} }}"
    return Case(layer("DummyData", text, "", "p") + layer("Eltwise", "", "x p", name="sum"), {"x": shape})


@maker("ContinuationIndicator")
def _continuation(r: random.Random) -> Case:
    steps, batch = r.randint(1, 5), r.randint(1, 4)
    text = f"continuation_indicator_param {{ time_step: {steps} batch_size: {batch} }}"
    return Case(layer("ContinuationIndicator", text, "", "p") + layer("Eltwise", "", "x p", name="sum"),
                {"x": (steps, batch)})  # fmt: skip


@maker("Silence")
def _silence(r: random.Random) -> Case:
    return Case(layer("TanH") + layer("Silence", "", "z", "", "quiet"), {"x": some(r), "z": some(r)})


@maker("BatchReindex")
def _batch_reindex(r: random.Random) -> Case:
    shape = some(r, 2)
    return Case(layer("BatchReindex", "", "x i"), {"x": shape, "i": (r.randint(1, 5),)}, {"i": ("index", shape[0])})


@maker("Filter")
def _filter(r: random.Random) -> Case:
    rows = r.randint(2, 6)
    return Case(layer("Filter", "", "x s", "y"), {"x": (rows, 3), "s": (rows, 1)}, {"s": ("flag", 1)})


def _recurrent(type_: str) -> None:
    def make(r: random.Random) -> Case:
        steps, batch, hidden = r.randint(1, 4), r.randint(1, 3), r.randint(1, 5)
        inputs: dict[str, tuple[int, ...]] = {"x": (steps, batch, *some(r, 1, 2)), "cont": (steps, batch)}
        if r.random() < 0.4:
            inputs["static"] = (batch, r.randint(1, 4))
        tops = ["y"]
        text = f'num_output: {hidden} weight_filler {{ type: "uniform" min: -1 max: 1 }}'
        if r.random() < 0.4:
            text += " expose_hidden: true"
            for state in ("h", "c") if type_ == "LSTM" else ("h",):
                inputs[f"{state}0"] = (1, batch, hidden)
                tops.append(f"{state}T")
        return Case(
            layer(type_, f"recurrent_param {{ {text} }}", " ".join(inputs), " ".join(tops)), inputs,
            {"cont": ("flag", 1)}, tuple(tops),
        )  # fmt: skip

    MAKERS[type_] = make


_recurrent("LSTM")
_recurrent("RNN")
