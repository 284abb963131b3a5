"""Nets in text made at random over the schema: every layer type that a Caffe without data files can set up.

A net may be one that Caffe refuses; the real one says so. The same seed gives the same net.
"""

from __future__ import annotations

import random
from collections.abc import Callable

Shape = tuple[int, ...]
#: Names as people write them; the last are not UTF-8 (as the escapes that stand for the bytes).
NAMES = ("conv1", "res2a/branch", "layer 7", "l'\\303\\251tage", 'a\\"b', "caf\\351", "\\262\\343\\062")


class Maker:
    """One net under way."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.blobs: list[str] = []
        self.shapes: dict[str, Shape] = {}
        self.layers: list[str] = []

    def one(self, *values: object) -> str:
        return str(self.dice.choice(values))

    def maybe(self, text: str, chance: float = 0.5) -> str:
        return text if self.dice.random() < chance else ""

    def number(self) -> str:
        return self.one("0.5", ".25", "2.", "1e-3", "3", "-1", "0.75f", "inf") if self.dice.random() < 0.4 else "1.5"

    def filler(self, name: str) -> str:
        inner = self.one(
            'type: "constant" value: 0.5', 'type: "xavier"', 'type: "gaussian" std: 0.01 sparse: -1',
            'type: "uniform" min: -1 max: 1', 'type: "msra" variance_norm: FAN_OUT', 'type: "positive_unitball"',
        )  # fmt: skip
        return f" {name} {{ {inner} }}"

    def name(self) -> str:
        return f"{self.dice.choice(NAMES)}_{len(self.layers)}"

    def some(self, *ranks: int) -> str:
        """Take a blob, of these numbers of axes where there is one."""
        return self.dice.choice([one for one in self.blobs if len(self.shapes[one]) in ranks] or self.blobs)

    def like(self, blob: str) -> Shape:
        """Return a shape of as many axes, whose sizes are not known here."""
        return (0,) * len(self.shapes[blob])

    def layer(self, type_: str, bottoms: list[str], shapes: list[Shape], body: str = "", blobs: int = 0) -> None:
        name = self.name()
        in_place = type_ in _SAME and len(bottoms) == 1 and self.dice.random() < 0.2
        tops = bottoms if in_place else [f"{name}:{i}" for i in range(len(shapes))]
        parts = [f'name: "{name}"', f'type: "{type_}"']
        parts += [f'bottom: "{one}"' for one in bottoms] + [f'top: "{one}"' for one in tops]
        parts += [f"param {{ lr_mult: {self.number()} decay_mult: 0 }}" for _ in range(self.dice.randint(0, blobs))]
        parts.append(self.maybe("include { phase: TEST }", 0.1))
        parts.append(self.maybe("phase: TEST", 0.1))
        parts.append(self.maybe(" ".join(["propagate_down: false"] * len(bottoms)), 0.1))
        parts.append(body)
        self.layers.append(f"layer {{ {' '.join(filter(None, parts))} }}")
        self.shapes.update(zip(tops, shapes, strict=True))
        self.blobs = [*(one for one in self.blobs if one not in tops), *tops]

    def input(self, *shape: int) -> str:
        dims = " ".join(f"dim: {dim}" for dim in shape)
        name = f"in{len(self.layers)}"
        kind = f'type: "Input" input_param {{ shape {{ {dims} }} }}'
        if self.dice.random() < 0.2:
            kind = f'type: "DummyData" dummy_data_param {{ shape {{ {dims} }}{self.filler("data_filler")} }}'
        self.layers.append(f'layer {{ name: "{name}" top: "{name}" {kind} }}')
        self.shapes[name] = shape
        self.blobs.append(name)
        return name


def _window(m: Maker) -> str:
    kernel = m.dice.randint(1, 3)
    return m.one(
        f"kernel_size: {kernel} stride: {m.dice.randint(1, 2)} pad: {m.dice.randint(0, kernel - 1)}",
        f"kernel_h: {kernel} kernel_w: 2 stride_h: 1 stride_w: 2",
        f"kernel_size: {kernel}",
    )


def _convolution(m: Maker, type_: str) -> None:
    source = m.some(4)
    group = m.dice.choice((1, 1, 2))
    body = (
        f"convolution_param {{ num_output: {2 * m.dice.randint(1, 3)} group: {group} {_window(m)} "
        f"{m.maybe('dilation: 2', 0.2)} {m.maybe('bias_term: false', 0.3)} {m.maybe('axis: 1', 0.1)} "
        f"{m.maybe('force_nd_im2col: true', 0.1)} {m.maybe('engine: CAFFE', 0.2)}"
        f"{m.maybe(m.filler('weight_filler'))}{m.maybe(m.filler('bias_filler'), 0.3)} }}"
    )
    m.layer(type_, [source], [m.like(source)], body, 1)


_SAME: dict[str, Callable[[Maker], str]] = {
    "ReLU": lambda m: m.maybe(f"relu_param {{ negative_slope: {m.number()} {m.maybe('engine: CAFFE')} }}"),
    "PReLU": lambda m: f"prelu_param {{ {m.maybe('channel_shared: true')} {m.maybe(m.filler('filler'), 0.3)} }}",
    "ELU": lambda m: f"elu_param {{ alpha: {m.number()} }}",
    "Sigmoid": lambda m: m.maybe("sigmoid_param { engine: DEFAULT }"),
    "TanH": lambda m: m.maybe("tanh_param { engine: CAFFE }"),
    "Power": lambda m: f"power_param {{ power: 2 scale: {m.number()} shift: {m.number()} }}",
    "Exp": lambda m: f"exp_param {{ base: {m.one(2, -1)} scale: 0.5 }}",
    "Log": lambda m: f"log_param {{ base: {m.one(10, -1)} shift: 1 }}",
    "AbsVal": lambda m: "",
    "BNLL": lambda m: "",
    "Swish": lambda m: "swish_param { beta: 2 }",
    "Threshold": lambda m: f"threshold_param {{ threshold: {m.number()} }}",
    "Dropout": lambda m: m.maybe("dropout_param { dropout_ratio: 0.3 }"),
    "Softmax": lambda m: m.maybe(f"softmax_param {{ axis: {m.one(1, -1, 0)} engine: CAFFE }}"),
    "LRN": lambda m: (
        f"lrn_param {{ local_size: {m.one(3, 5)} alpha: {m.number()} beta: 0.75 k: 2 "
        f"norm_region: {m.one('ACROSS_CHANNELS', 'WITHIN_CHANNEL', 0)} }}"
    ),
    "MVN": lambda m: f"mvn_param {{ normalize_variance: {m.one('true', 'false', 1, 0)} eps: 1e-9 }}",
    "BatchNorm": lambda m: (
        f"batch_norm_param {{ {m.maybe('use_global_stats: true')} {m.maybe('moving_average_fraction: .9')} eps: 1e-4 }}"
    ),
    "Scale": lambda m: (
        f"scale_param {{ axis: {m.one(1, 0, -1)} num_axes: {m.one(1, 0, -1, 2)} {m.maybe('bias_term: true')}"
        f"{m.maybe(m.filler('filler'), 0.3)} }}"
    ),
    "Bias": lambda m: f"bias_param {{ axis: {m.one(1, 0)} num_axes: {m.one(1, 0, -1)} }}",
}


def _same(m: Maker) -> None:
    type_ = m.dice.choice(list(_SAME))
    source = m.some(*((4,) if type_ == "LRN" else (2, 3, 4, 5)))
    m.layer(type_, [source], [m.shapes[source]], _SAME[type_](m), type_ in ("PReLU", "Scale", "Bias"))


def _pooling(m: Maker) -> None:
    body = m.one(f"{_window(m)} {m.maybe('round_mode: FLOOR', 0.3)}", "global_pooling: true")
    pool = m.one("MAX", "AVE", "STOCHASTIC")
    tops = 2 if pool == "MAX" and m.dice.random() < 0.1 else 1
    m.layer("Pooling", [m.some(4)], [(0,) * 4] * tops, f"pooling_param {{ pool: {pool} {body} }}")


def _inner_product(m: Maker) -> None:
    body = (
        f"inner_product_param {{ num_output: {m.dice.randint(1, 4)} {m.maybe('transpose: true', 0.3)} "
        f"{m.maybe('bias_term: false', 0.3)} {m.maybe(f'axis: {m.one(1, -1, 2, 0)}', 0.4)} }}"
    )
    m.layer("InnerProduct", [m.dice.choice(m.blobs)], [(0,) * 2], body, 1)


_OTHER: dict[str, Callable[[Maker], str]] = {
    "Flatten": lambda m: m.maybe(f"flatten_param {{ axis: {m.one(1, 2, 0)} end_axis: {m.one(-1, 2)} }}"),
    "Reshape": lambda m: f"reshape_param {{ shape {{ dim: {m.one(0, 1)} dim: -1 }} }}",
    "ArgMax": lambda m: f"argmax_param {{ {m.maybe('out_max_val: true')} top_k: 1 {m.maybe('axis: 1')} }}",
    "Reduction": lambda m: (
        f"reduction_param {{ operation: {m.one('SUM', 'ASUM', 'SUMSQ', 'MEAN')} axis: {m.one(0, 1, -1)} }}"
    ),
    "Tile": lambda m: f"tile_param {{ axis: {m.one(1, 0)} tiles: 2 }}",
    "Im2col": lambda m: f"convolution_param {{ {_window(m)} }}",
    "SPP": lambda m: f"spp_param {{ pyramid_height: {m.one(1, 2)} pool: MAX }}",
    "Permute": lambda m: f"permute_param {{ order: {m.one(0, 1)} order: {m.one(2, 3)} }}",
}


def _other(m: Maker) -> None:
    type_ = m.dice.choice(list(_OTHER))
    source = m.some(4)
    m.layer(type_, [source], [m.like(source) if type_ in ("Tile", "Permute") else (0, 0)], _OTHER[type_](m))


def _embed(m: Maker) -> None:
    source = m.input(2, 3)
    m.layer("Embed", [source], [(0,)], f"embed_param {{ num_output: 3 input_dim: 5 {m.maybe('bias_term: false')} }}", 1)


def _several(m: Maker) -> None:
    source = m.dice.choice(m.blobs)
    again = m.dice.choice([source, *(one for one in m.blobs if m.shapes[one] == m.shapes[source])])
    type_, body = m.dice.choice([
        ("Concat", m.one("", "concat_param { axis: 1 }", "concat_param { concat_dim: 0 }")),
        ("Eltwise", m.one("", "eltwise_param { operation: MAX }", "eltwise_param { coeff: 1 coeff: -1 }")),
        ("Crop", "crop_param { axis: 2 offset: 0 }"),
        ("Scale", "scale_param { axis: 0 }"),
        ("EuclideanLoss", m.maybe("loss_weight: 2")),
        ("SigmoidCrossEntropyLoss", m.maybe("loss_param { normalization: VALID }")),
        ("HingeLoss", "hinge_loss_param { norm: L2 }"),
    ])  # fmt: skip
    m.layer(type_, [source, again], [() if "Loss" in type_ else m.shapes[source]], body)


def _slice(m: Maker) -> None:
    body = m.one("", "slice_param { axis: 1 }", "slice_param { slice_dim: 1 slice_point: 1 }")
    source = m.dice.choice(m.blobs)
    m.layer("Slice", [source], [m.like(source)] * 2, body)


def _recurrent(m: Maker) -> None:
    steps, many = m.dice.randint(1, 3), m.dice.randint(1, 2)
    bottoms = [m.input(steps, many, *m.dice.choice(((4,), (2, 3)))), m.input(steps, many)]
    type_ = m.one("LSTM", "RNN")
    if m.dice.random() < 0.4:
        bottoms.append(m.input(many, 3))
    exposed, tops, size = "", [(steps, many, 3)], 3
    if m.dice.random() < 0.3:
        exposed = "expose_hidden: true"
        for _ in range(2 if type_ == "LSTM" else 1):
            bottoms.append(m.input(1, many, size))
            tops.append((1, many, size))
    body = f"recurrent_param {{ num_output: {size} {exposed}{m.filler('weight_filler')} }}"
    m.layer(type_, bottoms, tops, body, 3)


def _parameter(m: Maker) -> None:
    m.layer("Parameter", [], [(2, 3)], "parameter_param { shape { dim: 2 dim: 3 } }", 1)


_STEPS: tuple[tuple[int, Callable[[Maker], None]], ...] = (
    (6, lambda m: _convolution(m, "Convolution")), (2, lambda m: _convolution(m, "Deconvolution")), (8, _same),
    (3, _pooling), (3, _inner_product), (3, _other), (1, _embed), (3, _several), (1, _slice), (2, _recurrent),
    (1, _parameter),
)  # fmt: skip


def text(seed: int) -> bytes:
    """Return one net, with the white space, comments and brackets of one of many writers."""
    m = Maker(seed)
    first = m.dice.choice(((1, 4, 6, 6), (2, 2, 5, 4), (2, 6), (1, 4, 8), (1, 2, 3, 4, 4)))
    head = f'name: "{m.dice.choice(NAMES)}"\n'
    if m.dice.random() < 0.2:
        head += 'input: "data" ' + " ".join(f"input_dim: {dim}" for dim in first)
        if len(first) != 4:
            head = head.partition("input_dim")[0] + "input_shape { " + " ".join(f"dim: {d}" for d in first) + " }"
        m.blobs.append("data")
        m.shapes["data"] = first
    else:
        m.input(*first)
    weights = [weight for weight, _ in _STEPS]
    for _ in range(m.dice.randint(1, 5)):
        m.dice.choices([step for _, step in _STEPS], weights)[0](m)
    return _dressed("\n".join([head, *m.layers]), m).encode("latin-1")


def _dressed(text: str, m: Maker) -> str:
    """Write the same net as another person would."""
    way = m.dice.randrange(7)
    if way == 1:
        text = text.replace("\n", "\r\n")
    elif way == 2:
        text = text.replace(" { ", "{\n\t").replace(" }", "\n}") + "\n# the end, no line feed"
    elif way == 3:
        text = text.replace("{ ", "< ").replace(" }", " >")
    elif way == 4:
        text = text.replace(" { ", " : {\v").replace("\n", "\f\n")
    elif way == 5:
        text = "\n".join(f"{line} # caf\xe9 'x" for line in text.split("\n"))
    elif way == 6:
        text = text.replace("\\351", "\xe9").replace("\\262\\343\\062", "\xb2\xe32")
    return text
