"""The shape rules, one a layer type, as Caffe 1.0's own ``Reshape`` and ``LayerSetUp`` have them.

Facts from the layers' documentation and the behaviour of a real Caffe, checked by ``tests/formats/caffe``.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from modelprep.formats.caffe.shapes.base import Dim, Inferred, Rule, Shape, Site, count, fits, show
from modelprep.formats.caffe.shapes.boxes import BOX_RULES
from modelprep.formats.caffe.shapes.windows import WINDOW_RULES


def _same(site: Site) -> Inferred:
    return Inferred((site.bottoms[0],) * len(site.layer.top))


def _abs_val(site: Site) -> Inferred:
    if site.layer.top and site.layer.top[0] == site.layer.bottom[0]:
        raise site.fail("AbsVal does not work in place", expected="a top of another name than the bottom's")
    return _same(site)


def _each_top(site: Site, what: str, shapes: list[Shape]) -> Inferred:
    """Check that there is one shape, or one for each top."""
    tops = len(site.layer.top)
    if len(shapes) not in (1, tops):
        raise site.fail(f"{what} layer needs one shape, or one a top", expected=f"1 or {tops}", got=str(len(shapes)))
    return Inferred(tuple(shapes * tops if len(shapes) == 1 else shapes))


def _input(site: Site) -> Inferred:
    shapes: list[Shape] = [tuple(shape.dim) for shape in site.layer.input_param.shape]
    # An Input with no shape is legal in Caffe (its tops are empty until reshaped): nothing is known.
    return _each_top(site, "an Input", shapes) if shapes else Inferred(())


def _data(site: Site) -> Inferred:
    layer, image = site.layer, site.layer.type == "ImageData"
    p, crop = layer.image_data_param if image else layer.data_param, layer.transform_param.crop_size
    height, width = (crop or (size or None) for size in ((p.new_height, p.new_width) if image else (None, None)))
    channels: Dim = (3 if p.is_color else 1) if image else None
    return Inferred(((p.batch_size, channels, height, width), (p.batch_size,))[: len(layer.top)])


def _memory_data(site: Site) -> Inferred:
    p = site.layer.memory_data_param
    return Inferred(((p.batch_size, p.channels, p.height, p.width), (p.batch_size,)))


def _dummy_data(site: Site) -> Inferred:
    p = site.layer.dummy_data_param
    shapes: list[Shape] = [tuple(shape.dim) for shape in p.shape]
    return _each_top(site, "a DummyData", shapes or list(zip(p.num, p.channels, p.height, p.width, strict=False)))


def _inner_product(site: Site) -> Inferred:
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
    p, bottom = site.layer.embed_param, site.bottoms[0]
    top = None if bottom is None else (*bottom, p.num_output)
    return Inferred((top,), ((p.input_dim, p.num_output), (p.num_output,))[: 2 if p.bias_term else 1])


def _merge(site: Site, axis: int, shapes: list[tuple[Dim, ...]]) -> Shape:
    """Check that all dimensions but one are equal, and add up that one."""
    dims: list[Dim] = list(shapes[0])
    for shape in shapes[1:]:
        if len(shape) != len(dims):
            raise site.fail("the bottoms have different numbers of axes", got=", ".join(map(show, shapes)))
        for i, dim in enumerate(shape):
            known = dims[i]
            if i == axis:
                dims[i] = None if known is None or dim is None else known + dim
            elif known is None:
                dims[i] = dim
            elif dim not in (None, known):
                raise site.fail(
                    "the bottoms differ in an axis along which they are not joined",
                    expected=f"equal sizes along axis {i}",
                    got=", ".join(map(show, shapes)),
                )
    return tuple(dims)


def _concat(site: Site) -> Inferred:
    p, known = site.layer.concat_param, site.known
    if not known:
        return Inferred(())
    axis = site.axis(int(p.concat_dim) if p.HasField("concat_dim") else p.axis, len(known[0]))
    return Inferred((_merge(site, axis, known) if len(known) == len(site.bottoms) else None,))


def _eltwise(site: Site) -> Inferred:
    given, bottoms = len(site.layer.eltwise_param.coeff), len(site.bottoms)
    if given not in (0, bottoms):
        raise site.fail("Eltwise takes one coefficient a bottom", expected=str(bottoms), got=str(given))
    return Inferred((_merge(site, -1, site.known) if site.known else None,))


def _prelu(site: Site) -> Inferred:
    bottom = site.bottoms[0]
    if bottom is not None and len(bottom) < 2:
        raise site.fail("PReLU needs at least two axes", got=show(bottom))
    shared = site.layer.prelu_param.channel_shared
    return Inferred((bottom,), ((),) if shared else ((None if bottom is None else bottom[1],),))


def _batch_norm(site: Site) -> Inferred:
    bottom = site.bottoms[0]
    channels: Dim = (*bottom, 1)[1] if bottom else None
    return Inferred((bottom,), ((channels,), (channels,), (1,)))


def _covered(site: Site, param: Any) -> Shape:
    """Return the part of the bottom's shape that a Scale or Bias has factors for."""
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
    """Check that a second bottom is a part of the first one's shape, from the axis on."""
    data, factor = site.bottoms
    if data is None or not factor:
        return
    axis = site.axis(param.axis, len(data))
    part = data[axis : axis + len(factor)]
    if not fits(part, factor):
        raise site.fail(
            "the second bottom is no part of the first", expected=f"{show(data)} from axis {axis}", got=show(factor)
        )


def _scale(site: Site) -> Inferred:
    scale = site.layer.type == "Scale"
    p = site.layer.scale_param if scale else site.layer.bias_param
    biases = int(scale and p.bias_term)
    if len(site.bottoms) == 2:
        _hold_factor(site, p)
        return Inferred(site.bottoms[:1], site.bottoms[1:] * biases)
    return Inferred(site.bottoms, (_covered(site, p),) * (1 + biases))


def _flatten(site: Site) -> Inferred:
    bottom, p = site.known[0], site.layer.flatten_param
    start, end = site.axis(p.axis, len(bottom)), site.axis(p.end_axis, len(bottom))
    if end < start:
        raise site.fail("end_axis lies before axis", got=f"axis {start}, end_axis {end}")
    return Inferred(((*bottom[:start], count(bottom, start, end + 1), *bottom[end + 1 :]),))


def _reshape(site: Site) -> Inferred:
    bottom, p = site.known[0], site.layer.reshape_param
    rank = len(bottom)
    start = p.axis if p.axis >= 0 else rank + p.axis + 1
    if not 0 <= start <= rank:
        raise site.fail("there is no such axis", expected=f"-{rank + 1} to {rank}", got=str(p.axis))
    end = rank if p.num_axes == -1 else start + p.num_axes
    if p.num_axes < -1 or end > rank:
        raise site.fail("num_axes goes beyond the last axis", expected=f"-1 to {rank - start}", got=str(p.num_axes))
    middle: list[Dim] = []
    hole: int | None = None
    for i, dim in enumerate(p.shape.dim):
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
            got = f"of {filled} each"
            raise site.fail("the shape does not divide the bottom", expected=f"{volume} values", got=got)
        middle[hole] = None if volume is None or not filled else volume // filled
    elif volume is not None and filled is not None and volume != filled:
        raise site.fail("the new shape holds another number of values", expected=str(volume), got=str(filled))
    return Inferred(((*bottom[:start], *middle, *bottom[end:]),))


def _slice(site: Site) -> Inferred:
    bottom, p, tops = site.known[0], site.layer.slice_param, len(site.layer.top)
    axis = site.axis(int(p.slice_dim) if p.HasField("slice_dim") else p.axis, len(bottom))
    size = bottom[axis]
    parts: list[Dim]
    if points := list(p.slice_point):
        if len(points) != tops - 1:
            got = str(len(points))
            raise site.fail("there must be one slice point fewer than tops", expected=str(tops - 1), got=got)
        parts = [None if b is None else b - a for a, b in pairwise([0, *points, size])]
        if any(part is not None and part <= 0 for part in parts):
            raise site.fail("the slice points do not ascend within the bottom", got=f"{points} of {size}")
    else:
        if size is not None and size % tops:
            raise site.fail("the axis cannot be cut into equal parts", expected=f"a multiple of {tops}", got=str(size))
        parts = [None if size is None else size // tops] * tops
    return Inferred(tuple((*bottom[:axis], part, *bottom[axis + 1 :]) for part in parts))


def _argmax(site: Site) -> Inferred:
    bottom, p = site.known[0], site.layer.argmax_param
    if p.HasField("axis"):
        axis = site.axis(p.axis, len(bottom))
        return Inferred(((*bottom[:axis], p.top_k, *bottom[axis + 1 :]),))
    rest = (1,) * max(0, len(bottom) - 3)
    return Inferred(((bottom[0] if bottom else 1, 2 if p.out_max_val else 1, p.top_k, *rest),))


def _reduction(site: Site) -> Inferred:
    bottom = site.known[0]
    return Inferred((bottom[: site.axis(site.layer.reduction_param.axis, len(bottom))],))


def _tile(site: Site) -> Inferred:
    bottom, p = site.known[0], site.layer.tile_param
    axis = site.axis(p.axis, len(bottom))
    return Inferred(((*bottom[:axis], count((bottom[axis], p.tiles)), *bottom[axis + 1 :]),))


def _loss(site: Site) -> Inferred:
    # A loss is a scalar; the second top of SoftmaxWithLoss, if any, has the probabilities.
    return Inferred(((), site.bottoms[0] if site.bottoms else None))


def _accuracy(site: Site) -> Inferred:
    bottom = site.bottoms[0] if site.bottoms else None
    classes = bottom[site.axis(site.layer.accuracy_param.axis, len(bottom))] if bottom else None
    return Inferred(((), (classes,)))


def _parameter(site: Site) -> Inferred:
    shape = tuple(site.layer.parameter_param.shape.dim)
    return Inferred((shape,), (shape,))


def _batch_reindex(site: Site) -> Inferred:
    data, order = site.known
    return Inferred(((*order[:1], *data[1:]),))


def _filter(site: Site) -> Inferred:
    return Inferred(tuple(None if shape is None else (None, *shape[1:]) for shape in site.bottoms[:-1]))


def _recurrent(site: Site) -> Inferred:
    """Shapes of an RNN or LSTM; its weights are those of the net that Caffe unrolls inside, in that net's order."""
    lstm, p = site.layer.type == "LSTM", site.layer.recurrent_param
    states = (2 if lstm else 1) if p.expose_hidden else 0
    site.need(2 + states, 3 + states)
    bottom, size = site.bottoms[0], int(p.num_output)
    rows = 4 * size if lstm else size
    weights: list[Shape] = [(rows, count(bottom, 2)), (rows,)]
    if len(site.bottoms) == 3 + states:
        weights.append((rows, count(site.bottoms[2], 1)))
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
    **dict.fromkeys(_ELEMENTWISE.split(), Rule(_same, 1)),
    **dict.fromkeys(_LOSSES.split(), Rule(_loss)),
    **dict.fromkeys(("Data", "ImageData", "AnnotatedData"), Rule(_data)),
    **dict.fromkeys(("HDF5Data", "WindowData", "Silence", "HDF5Output"), Rule(lambda _: Inferred(()))),
    **dict.fromkeys(("RNN", "LSTM"), Rule(_recurrent)),
    **dict.fromkeys(("Scale", "Bias"), Rule(_scale, 1, 2)),
    **WINDOW_RULES,
    **BOX_RULES,
    "AbsVal": Rule(_abs_val, 1),
    "Input": Rule(_input),
    "MemoryData": Rule(_memory_data),
    "DummyData": Rule(_dummy_data),
    "InnerProduct": Rule(_inner_product, 1, 1),
    "Embed": Rule(_embed, 1, 1),
    "Concat": Rule(_concat, 1),
    "Eltwise": Rule(_eltwise, 2),
    "PReLU": Rule(_prelu, 1, 1),
    "BatchNorm": Rule(_batch_norm, 1, 1),
    "Flatten": Rule(_flatten, 1, 1, known=True),
    "Reshape": Rule(_reshape, 1, 1, known=True),
    "Slice": Rule(_slice, 1, 1, known=True),
    "ArgMax": Rule(_argmax, 1, 1, known=True),
    "Reduction": Rule(_reduction, 1, 1, known=True),
    "Tile": Rule(_tile, 1, 1, known=True),
    "Accuracy": Rule(_accuracy),
    "Parameter": Rule(_parameter),
    "BatchReindex": Rule(_batch_reindex, 2, 2, known=True),
    "Filter": Rule(_filter),
}
