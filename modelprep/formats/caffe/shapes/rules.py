"""The shape rules, one a layer type, as Caffe 1.0's own ``Reshape`` and ``LayerSetUp`` have them.

Facts from the layers' documentation and the behaviour of a real Caffe, checked by ``tests/formats/caffe``.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from modelprep.formats.caffe.shapes.base import Dim, Inferred, Rule, Shape, Site, count, show
from modelprep.formats.caffe.shapes.boxes import BOX_RULES
from modelprep.formats.caffe.shapes.windows import WINDOW_RULES


def _same(site: Site) -> Inferred:
    site.need(1)
    return Inferred((site.bottoms[0],) * len(site.layer.top))


def _abs_val(site: Site) -> Inferred:
    if site.layer.top and site.layer.top[0] == site.layer.bottom[0]:
        raise site.fail("AbsVal does not work in place", expected="a top of another name than the bottom's")
    return _same(site)


def _input(site: Site) -> Inferred:
    shapes = [tuple(int(d) for d in shape.dim) for shape in site.layer.input_param.shape]
    tops = len(site.layer.top)
    if not shapes:
        # An Input with no shape is legal in Caffe (its tops are empty until reshaped): nothing is known.
        return Inferred((None,) * tops)
    if len(shapes) not in (1, tops):
        raise site.fail("an Input layer needs one shape, or one a top", expected=f"1 or {tops}", got=str(len(shapes)))
    return Inferred(tuple(shapes * tops if len(shapes) == 1 else shapes))


def _data(site: Site) -> Inferred:
    layer = site.layer
    param = layer.image_data_param if layer.type == "ImageData" else layer.data_param
    batch: int = param.batch_size
    crop: int = layer.transform_param.crop_size
    height: Dim = crop or (param.new_height if layer.type == "ImageData" and param.new_height else None)
    width: Dim = crop or (param.new_width if layer.type == "ImageData" and param.new_width else None)
    channels: Dim = (3 if param.is_color else 1) if layer.type == "ImageData" else None
    return Inferred(((batch, channels, height, width), (batch,))[: len(layer.top)])


def _memory_data(site: Site) -> Inferred:
    p = site.layer.memory_data_param
    return Inferred(((p.batch_size, p.channels, p.height, p.width), (p.batch_size,)))


def _dummy_data(site: Site) -> Inferred:
    p, tops = site.layer.dummy_data_param, len(site.layer.top)
    shapes: list[Shape] = [tuple(int(d) for d in shape.dim) for shape in p.shape]
    if not shapes:
        quads = zip(p.num, p.channels, p.height, p.width, strict=False)
        shapes = [tuple(int(d) for d in quad) for quad in quads]
    if len(shapes) not in (1, tops):
        raise site.fail(
            "a DummyData layer needs one shape, or one a top", expected=f"1 or {tops}", got=str(len(shapes))
        )
    return Inferred(tuple(shapes * tops if len(shapes) == 1 else shapes))


def _opaque_data(site: Site) -> Inferred:
    return Inferred((None,) * len(site.layer.top))


def _inner_product(site: Site) -> Inferred:
    site.need(1, 1)
    p, bottom = site.layer.inner_product_param, site.bottoms[0]
    if not p.HasField("num_output"):
        raise site.fail("num_output is not given")
    outputs: int = p.num_output
    inputs: Dim = None
    top: Shape = None
    outer: int | None = None
    if bottom is not None:
        axis = site.axis(p.axis, len(bottom))
        inputs, outer = count(bottom, axis), count(bottom, 0, axis)
        top = (*bottom[:axis], outputs)
    matrix: Shape = (inputs, outputs) if p.transpose else (outputs, inputs)
    macs = None if inputs is None or outer is None else outer * inputs * outputs
    return Inferred((top,), (matrix, (outputs,)) if p.bias_term else (matrix,), macs)


def _embed(site: Site) -> Inferred:
    site.need(1, 1)
    p, bottom = site.layer.embed_param, site.bottoms[0]
    weights: tuple[Shape, ...] = ((p.input_dim, p.num_output),)
    return Inferred(
        (None if bottom is None else (*bottom, p.num_output),), (*weights, (p.num_output,)) if p.bias_term else weights
    )


def _merge(site: Site, axis: int, shapes: tuple[Shape, ...]) -> Shape:
    """Hold all dims but one equal, add up the one."""
    if shapes[0] is None or any(shape is None for shape in shapes):
        return None
    dims: list[Dim] = list(shapes[0])
    for shape in shapes[1:]:
        assert shape is not None
        if len(shape) != len(dims):
            raise site.fail("the bottoms have different numbers of axes", got=", ".join(map(show, shapes)))
        for i, dim in enumerate(shape):
            if i == axis:
                known = dims[i]
                dims[i] = None if known is None or dim is None else known + dim
            elif dims[i] is None:
                dims[i] = dim
            elif dim is not None and dims[i] != dim:
                raise site.fail(
                    "the bottoms differ in an axis along which they are not joined",
                    expected=f"equal sizes along axis {i}",
                    got=", ".join(map(show, shapes)),
                )
    return tuple(dims)


def _concat(site: Site) -> Inferred:
    site.need(1)
    p = site.layer.concat_param
    rank = next((len(shape) for shape in site.bottoms if shape is not None), None)
    if rank is None:
        return Inferred((None,))
    axis = int(p.concat_dim) if p.HasField("concat_dim") else p.axis
    return Inferred((_merge(site, site.axis(axis, rank), site.bottoms),))


def _eltwise(site: Site) -> Inferred:
    site.need(2)
    p = site.layer.eltwise_param
    if len(p.coeff) not in (0, len(site.bottoms)):
        raise site.fail(
            "Eltwise takes one coefficient a bottom", expected=str(len(site.bottoms)), got=str(len(p.coeff))
        )
    known = [shape for shape in site.bottoms if shape is not None]
    if not known:
        return Inferred((None,))
    return Inferred((_merge(site, -1, tuple(known)),))


def _prelu(site: Site) -> Inferred:
    site.need(1, 1)
    bottom = site.bottoms[0]
    if bottom is not None and len(bottom) < 2:
        raise site.fail("PReLU needs at least two axes", got=show(bottom))
    shared = site.layer.prelu_param.channel_shared
    return Inferred((bottom,), ((),) if shared else ((None if bottom is None else bottom[1],),))


def _batch_norm(site: Site) -> Inferred:
    site.need(1, 1)
    bottom = site.bottoms[0]
    channels: Dim = None
    if bottom is not None:
        channels = 1 if len(bottom) == 1 else bottom[1] if len(bottom) > 1 else None
    return Inferred((bottom,), ((channels,), (channels,), (1,)))


def _covered(site: Site, param: Any) -> Shape:
    """Which axes of the bottom a Scale or Bias has its factors for."""
    bottom = site.bottoms[0]
    if param.num_axes == 0:
        return ()
    if bottom is None:
        return (None,) * param.num_axes if param.num_axes > 0 else None
    axis = site.axis(param.axis, len(bottom))
    if param.num_axes == -1:
        return bottom[axis:]
    if axis + param.num_axes > len(bottom):
        raise site.fail("the factors go beyond the bottom's last axis", got=f"{show(bottom)}, axis {axis}")
    return bottom[axis : axis + param.num_axes]


def _hold_factor(site: Site, param: Any) -> None:
    """Hold a second bottom to be a part of the first one's shape, from the axis on."""
    data, factor = site.bottoms
    if data is None or not factor:
        return
    axis = site.axis(param.axis, len(data))
    part = data[axis : axis + len(factor)]
    if len(part) != len(factor) or any(
        a is not None and b is not None and a != b for a, b in zip(part, factor, strict=True)
    ):
        raise site.fail(
            "the second bottom is no part of the first", expected=f"{show(data)} from axis {axis}", got=show(factor)
        )


def _scale(site: Site) -> Inferred:
    site.need(1, 2)
    p = site.layer.scale_param
    if len(site.bottoms) == 2:
        _hold_factor(site, p)
        return Inferred((site.bottoms[0],), (site.bottoms[1],) if p.bias_term else ())
    return Inferred((site.bottoms[0],), (_covered(site, p),) * (2 if p.bias_term else 1))


def _bias(site: Site) -> Inferred:
    site.need(1, 2)
    if len(site.bottoms) == 2:
        _hold_factor(site, site.layer.bias_param)
        return Inferred((site.bottoms[0],))
    return Inferred((site.bottoms[0],), (_covered(site, site.layer.bias_param),))


def _flatten(site: Site) -> Inferred:
    site.need(1, 1)
    bottom, p = site.bottoms[0], site.layer.flatten_param
    if bottom is None:
        return Inferred((None,))
    start, end = site.axis(p.axis, len(bottom)), site.axis(p.end_axis, len(bottom))
    if end < start:
        raise site.fail("end_axis lies before axis", got=f"axis {start}, end_axis {end}")
    return Inferred(((*bottom[:start], count(bottom, start, end + 1), *bottom[end + 1 :]),))


def _reshape(site: Site) -> Inferred:
    site.need(1, 1)
    bottom, p = site.bottoms[0], site.layer.reshape_param
    if bottom is None:
        return Inferred((None,))
    rank = len(bottom)
    start = p.axis if p.axis >= 0 else rank + p.axis + 1
    if not 0 <= start <= rank:
        raise site.fail("there is no such axis", expected=f"-{rank + 1} to {rank}", got=str(p.axis))
    end = rank if p.num_axes == -1 else start + p.num_axes
    if p.num_axes < -1 or end > rank:
        raise site.fail("num_axes goes beyond the last axis", expected=f"-1 to {rank - start}", got=str(p.num_axes))
    middle: list[Dim] = []
    hole: int | None = None
    for i, dim in enumerate(int(d) for d in p.shape.dim):
        if dim == 0:
            if start + i >= rank:
                raise site.fail("a dimension of 0 copies one that the bottom does not have", got=show(bottom))
            middle.append(bottom[start + i])
        elif dim == -1:
            if hole is not None:
                raise site.fail("only one dimension may be -1", got=str(list(p.shape.dim)))
            hole = i
            middle.append(1)
        elif dim < 0:
            raise site.fail("a negative dimension", expected="-1, 0 or more", got=str(dim))
        else:
            middle.append(dim)
    volume, filled = count(bottom), count((*bottom[:start], *middle, *bottom[end:]))
    if hole is not None:
        if volume is not None and filled and volume % filled:
            raise site.fail(
                "the shape does not divide the bottom", expected=f"{volume} values", got=f"of {filled} each"
            )
        middle[hole] = None if volume is None or not filled else volume // filled
    elif volume is not None and filled is not None and volume != filled:
        raise site.fail("the new shape holds another number of values", expected=str(volume), got=str(filled))
    return Inferred(((*bottom[:start], *middle, *bottom[end:]),))


def _slice(site: Site) -> Inferred:
    site.need(1, 1)
    bottom, p, tops = site.bottoms[0], site.layer.slice_param, len(site.layer.top)
    if bottom is None:
        return Inferred((None,) * tops)
    axis = site.axis(int(p.slice_dim) if p.HasField("slice_dim") else p.axis, len(bottom))
    size = bottom[axis]
    parts: list[Dim]
    if p.slice_point:
        points = [int(point) for point in p.slice_point]
        if len(points) != tops - 1:
            raise site.fail(
                "there must be one slice point fewer than tops", expected=str(tops - 1), got=str(len(points))
            )
        edges: list[Dim] = [0, *points, size]
        parts = [None if b is None or a is None else b - a for a, b in pairwise(edges)]
        if any(part is not None and part <= 0 for part in parts):
            raise site.fail("the slice points do not ascend within the bottom", got=f"{points} of {size}")
    else:
        if size is not None and size % tops:
            raise site.fail("the axis cannot be cut into equal parts", expected=f"a multiple of {tops}", got=str(size))
        parts = [None if size is None else size // tops] * tops
    return Inferred(tuple((*bottom[:axis], part, *bottom[axis + 1 :]) for part in parts))


def _argmax(site: Site) -> Inferred:
    site.need(1, 1)
    bottom, p = site.bottoms[0], site.layer.argmax_param
    if bottom is None:
        return Inferred((None,))
    if p.HasField("axis"):
        axis = site.axis(p.axis, len(bottom))
        return Inferred(((*bottom[:axis], p.top_k, *bottom[axis + 1 :]),))
    rest = (1,) * max(0, len(bottom) - 3)
    return Inferred(((bottom[0] if bottom else 1, 2 if p.out_max_val else 1, p.top_k, *rest),))


def _reduction(site: Site) -> Inferred:
    site.need(1, 1)
    bottom = site.bottoms[0]
    if bottom is None:
        return Inferred((None,))
    return Inferred((bottom[: site.axis(site.layer.reduction_param.axis, len(bottom))],))


def _tile(site: Site) -> Inferred:
    site.need(1, 1)
    bottom, p = site.bottoms[0], site.layer.tile_param
    if bottom is None:
        return Inferred((None,))
    axis = site.axis(p.axis, len(bottom))
    dim = bottom[axis]
    return Inferred(((*bottom[:axis], None if dim is None else dim * p.tiles, *bottom[axis + 1 :]),))


def _loss(site: Site) -> Inferred:
    # A loss is a scalar; SoftmaxWithLoss may give the probabilities as a second top.
    return Inferred(((), site.bottoms[0] if site.bottoms else None))


def _accuracy(site: Site) -> Inferred:
    bottom = site.bottoms[0] if site.bottoms else None
    classes = bottom[site.axis(site.layer.accuracy_param.axis, len(bottom))] if bottom else None
    return Inferred(((), (classes,)))


def _parameter(site: Site) -> Inferred:
    shape = tuple(int(d) for d in site.layer.parameter_param.shape.dim)
    return Inferred((shape,), (shape,))


def _batch_reindex(site: Site) -> Inferred:
    site.need(2, 2)
    data, order = site.bottoms
    return Inferred((None if data is None or order is None else (*order[:1], *data[1:]),))


def _filter(site: Site) -> Inferred:
    return Inferred(tuple(None if shape is None else (None, *shape[1:]) for shape in site.bottoms[:-1]))


def _recurrent(site: Site) -> Inferred:
    """Shapes of an RNN or LSTM; its weights are those of the net that Caffe unrolls inside, in that net's order."""
    lstm, p = site.layer.type == "LSTM", site.layer.recurrent_param
    states = (2 if lstm else 1) if p.expose_hidden else 0
    site.need(2 + states, 3 + states)
    bottom, size = site.bottoms[0], int(p.num_output)
    fixed = site.bottoms[2] if len(site.bottoms) == 3 + states else None
    rows = 4 * size if lstm else size
    weights: list[Shape] = [(rows, count(bottom, 2)), (rows,)]
    if len(site.bottoms) == 3 + states:
        weights.append((rows, count(fixed, 1)))
    weights.append((rows, size))
    if not lstm:
        weights += [(size, size), (size,)]
    steps, many = (None, None) if bottom is None else (*bottom, None, None)[:2]
    return Inferred(((steps, many, size), *((1, many, size),) * states), tuple(weights), None)


_ELEMENTWISE = (
    "ReLU ELU Sigmoid TanH Power Exp Log BNLL Threshold Dropout Softmax Clip Swish Split ReLU6 "
    "HardSwish HardSigmoid ShuffleChannel Mish"
)
_LOSSES = (
    "SoftmaxWithLoss EuclideanLoss HingeLoss InfogainLoss ContrastiveLoss SigmoidCrossEntropyLoss "
    "MultinomialLogisticLoss MultiBoxLoss SmoothL1Loss"
)

RULES: dict[str, Rule] = {
    **dict.fromkeys(_ELEMENTWISE.split(), _same),
    **dict.fromkeys(_LOSSES.split(), _loss),
    **dict.fromkeys(("Data", "ImageData", "AnnotatedData"), _data),
    **dict.fromkeys(("HDF5Data", "WindowData"), _opaque_data),
    **dict.fromkeys(("RNN", "LSTM"), _recurrent),
    **dict.fromkeys(("Silence", "HDF5Output"), lambda site: Inferred(())),  # noqa: ARG005 - a rule takes its site
    **WINDOW_RULES,
    **BOX_RULES,
    "AbsVal": _abs_val,
    "Input": _input,
    "MemoryData": _memory_data,
    "DummyData": _dummy_data,
    "InnerProduct": _inner_product,
    "Embed": _embed,
    "Concat": _concat,
    "Eltwise": _eltwise,
    "PReLU": _prelu,
    "BatchNorm": _batch_norm,
    "Scale": _scale,
    "Bias": _bias,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Slice": _slice,
    "ArgMax": _argmax,
    "Reduction": _reduction,
    "Tile": _tile,
    "Accuracy": _accuracy,
    "Parameter": _parameter,
    "BatchReindex": _batch_reindex,
    "Filter": _filter,
}
