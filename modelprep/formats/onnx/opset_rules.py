"""The rules that carry one node across one change of its operator; ``opset_changes.tsv`` says which.

A rule changes the node in place, may put nodes around it, or raises `Unconvertible` with the
reason. A rule's arguments are the words that follow its name in the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from modelprep.formats.onnx.initializers import constant_value
from modelprep.formats.onnx.model import FLOAT, INT64
from modelprep.formats.onnx.opset_site import Site, Unconvertible


def apply(site: Site, rules: tuple[str, ...]) -> list[Any]:
    """Apply the rules of a row to a node; return the nodes that replace it.

    Raises Unconvertible: the node cannot be carried.
    """
    for rule in rules:
        verb, *words = rule.split()
        _RULES[verb](site, *words)
    return [*site.before, site.node, *site.after]


def _value(site: Site, name: str) -> str | None:
    """Return an attribute as the table writes it, a list of ones as 1; None if it is left out."""
    attribute = site.attribute(name)
    if attribute is None:
        return None
    kinds: Mapping[int, Any] = {
        1: attribute.f, 2: attribute.i, 3: attribute.s.decode("utf-8", "replace"), 7: list(attribute.ints),
    }  # fmt: skip
    value = kinds.get(attribute.type, attribute.type)
    return "1" if isinstance(value, list) and all(item == 1 for item in value) else str(value)


def _refused(site: Site) -> None:
    old, new = site.change.opset - 1, site.change.opset
    raise Unconvertible(
        f"the operator came with opset {new}" if site.change.what == "new" else f"opset {old} and {new} differ"
    )


def _attribute(site: Site, asked: str) -> None:
    """Take an attribute out that has the value which the other side takes for granted; ``!``: it must be there."""
    name, _, value = asked.partition("=")
    own = _value(site, name)
    if own is None:
        if value.endswith("!"):
            raise Unconvertible(f"{name} is left out, which means something else on the other side")
        return
    _values(site, name, value.rstrip("!"), suffix=" only")
    site.drop(name)


def _without(site: Site, name: str) -> None:
    if site.attribute(name) is not None:
        raise Unconvertible(f"it has {name}, which the other side does not know")


def _set_attribute(site: Site, asked: str) -> None:
    name, _, value = asked.partition("=")
    site.set(name, value)


def _values(site: Site, name: str, *known: str, suffix: str = "") -> None:
    if (own := _value(site, name)) is not None and own not in known:
        raise Unconvertible(f"{name} is {own}, and the other side knows {', '.join(known)}{suffix}")


def _rename_value(site: Site, name: str, *pairs: str) -> None:
    if (own := _value(site, name)) is not None:
        site.set(name, dict(pair.split("=") for pair in pairs).get(own, own))


def _rename(site: Site, operator: str) -> None:
    site.node.op_type = operator


def _inputs(site: Site, most: str, held: Any = None, what: str = "inputs") -> None:
    held = site.node.input if held is None else held
    if any(held[int(most) :]):
        raise Unconvertible(f"it has more than {most} {what}")
    del held[int(most) :]


def _outputs(site: Site, most: str) -> None:
    _inputs(site, most, site.node.output, "outputs, and the others mean something else on the other side")


def _rank(site: Site, rank: str) -> None:
    if site.rank(site.given(0)) != int(rank):
        raise Unconvertible(f"its input has {site.rank(site.given(0))} dimensions, not {rank}")


def _positive(site: Site, name: str) -> None:
    def turned(axis: int) -> int:  # axes count the input's dimensions, for Unsqueeze the output's
        source = site.node.output[0] if site.node.op_type == "Unsqueeze" else site.given(0)
        return axis + site.rank(source) if axis < 0 else axis

    if (attribute := site.attribute(name)) is not None:
        if attribute.type == 2:
            attribute.i = turned(attribute.i)
        attribute.ints[:] = map(turned, attribute.ints)


def _positive_input(site: Site, place: str) -> None:
    name = site.given(int(place))
    axes = [int(axis) for axis in site.numbers(name)] if name else []
    if any(axis < 0 for axis in axes):
        rank = site.rank(site.given(0))
        turned = [axis + rank if axis < 0 else axis for axis in axes]
        site.node.input[int(place)] = site.constant("axes", INT64, turned, [len(turned)])


def _attribute_to_input(site: Site, at: str, name: str, form: str) -> None:
    """Make an attribute the constant input at a place: ``ints``, ``floats``, or one number as a scalar."""
    place, (kind, _, default) = int(at), form.partition("=")
    attribute = site.attribute(name)
    if attribute is None and not default:
        return
    if attribute is None:
        values: list[Any] = [int(default)]
    elif attribute.type in (6, 7):
        values = list(attribute.floats or attribute.ints)
    else:
        values = [attribute.f if attribute.type == 1 else attribute.i]
    dtype = INT64 if kind in ("int", "ints") else FLOAT
    if kind == "float":  # a number of the data's own type
        dtype = site.type(site.given(0))
    site.drop(name)
    site.node.input.extend([""] * (place + 1 - len(site.node.input)))
    site.node.input[place] = site.constant(name, dtype, values, [len(values)] if kind.endswith("s") else [])


def _input_to_attribute(site: Site, at: str, name: str, kind: str) -> None:
    """Make the constant input at a place an attribute; ``!``: it must be there."""
    place, must = int(at), kind.endswith("!")
    cast: Callable[[float], float] = float if kind.startswith("f") else int
    if source := site.given(place):
        values = [cast(value) for value in site.numbers(source)]
        if kind.rstrip("!") in ("int", "float"):
            site.set(name, values[0])
        elif values or must:
            site.set(name, values)
    elif must:
        raise Unconvertible(f"{name} is left out, and the other side needs it")
    if place < len(site.node.input):
        site.node.input[place] = ""
    while site.node.input and not site.node.input[-1]:
        del site.node.input[-1]


def _equal_shapes(site: Site) -> None:
    shapes = [site.facts.shapes.get(name) for name in site.node.input]
    if len(shapes) > 1 and any(one is None or one != shapes[0] or None in one for one in shapes):
        raise Unconvertible("its inputs do not surely have one shape, and the other side does not broadcast")


def _only(site: Site, name: str) -> None:
    if any(attribute.name != name for attribute in site.node.attribute):
        raise Unconvertible(f"it holds something other than a {name}")


def _constant_value(site: Site) -> None:
    if (tensor := constant_value(site.node)) is not None:
        del site.node.attribute[:]
        site.node.attribute.add(name="value", type=4).t.CopyFrom(tensor)
    elif site.attribute("sparse_value") is None:
        raise Unconvertible("it holds text, which the other side does not know")


def _drop(site: Site, name: str) -> None:
    site.drop(name)


def _per_tensor(site: Site) -> None:
    if site.rank(site.given(1)) != 0:
        raise Unconvertible("its scale is not one number")


def _group_scale(site: Site) -> None:
    """Scale and bias were one number a group, and are one a channel; onnx's own converter leaves them as they were."""
    groups = site.attribute("num_groups").i
    site.rank(site.given(0))
    channels = site.facts.shapes[site.given(0)][1]
    if channels is None or channels % groups:
        raise Unconvertible("the number of its channels is not known")
    for place, stem in ((1, "scale"), (2, "bias")):
        each = [number for number in site.numbers(site.given(place)) for _ in range(channels // groups)]
        site.node.input[place] = site.constant(stem, site.type(site.given(place)), each, [channels])


def _untrained(site: Site) -> None:
    if site.given(2) and any(site.numbers(site.given(2))):
        raise Unconvertible("it is set to train")
    del site.node.input[1:]


def _gemm_bias(site: Site) -> None:
    if not site.given(2):
        site.node.input[2:] = [site.constant("c", site.type(site.given(0)), [0], [1])]


def _number(site: Site, name: str, default: int) -> int:
    attribute = site.attribute(name)
    return default if attribute is None else int(attribute.i)


def _softmax_axis(site: Site, default: int) -> tuple[int, int, list[int | None]]:
    rank, axis = site.rank(site.given(0)), _number(site, "axis", default)
    return axis + rank if axis < 0 else axis, rank, site.facts.shapes[site.given(0)]


def _softmax_up(site: Site) -> None:
    """Flattened from an axis on: along that axis where the others after it are 1, else flattened by nodes."""
    axis, rank, sizes = _softmax_axis(site, 1)
    long = [index for index in range(axis, rank) if sizes[index] != 1]
    if axis < rank and len(long) <= 1:
        site.set("axis", long[0] if long else axis)
        return
    source, result = site.given(0), site.node.output[0]
    stem = site.node.name or result
    flat, soft, shape = (site.name(f"{stem}_{word}") for word in ("flat", "flattened", "shape"))
    site.before.append(site.add("Flatten", [source], flat, axis=axis))
    if None in sizes:
        site.before.append(site.add("Shape", [source], shape))
    else:
        shape = site.constant("shape", INT64, list(sizes), [rank])
    site.node.input[0], site.node.output[0] = flat, soft
    site.set("axis", 1)
    site.after.append(site.add("Reshape", [soft, shape], result))
    site.facts.shapes[flat] = site.facts.shapes[soft] = [None, None]


def _softmax_down(site: Site) -> None:
    """Along one axis: the same where the others after it are 1, else that axis is turned to the end."""
    axis, rank, sizes = _softmax_axis(site, -1)
    if all(size == 1 for size in sizes[axis + 1 :]):
        site.set("axis", axis)
        return
    source, result = site.given(0), site.node.output[0]
    stem = site.node.name or result
    order = [*range(axis), *range(axis + 1, rank), axis]
    back = [order.index(index) for index in range(rank)]
    turned, soft = site.name(f"{stem}_turned"), site.name(f"{stem}_soft")
    site.before.append(site.add("Transpose", [source], turned, perm=order))
    site.node.input[0], site.node.output[0] = turned, soft
    site.set("axis", rank - 1)
    site.after.append(site.add("Transpose", [soft], result, perm=back))
    site.facts.shapes[turned] = site.facts.shapes[soft] = [sizes[index] for index in order]


def _enlarging(site: Site, place: str) -> None:
    if any(scale < 1 for scale in site.numbers(site.given(int(place)))):
        raise Unconvertible("it makes something smaller, which the two sides do differently")


def _resize_up(site: Site) -> None:
    site.node.input.insert(1, site.constant("roi", FLOAT, [], [0]))
    site.set("coordinate_transformation_mode", "asymmetric")
    if _value(site, "mode") in (None, "nearest"):
        site.set("nearest_mode", "floor")


def _resize_down(site: Site) -> None:
    _attribute(site, "coordinate_transformation_mode=asymmetric!")
    if _value(site, "mode") in (None, "nearest"):
        _attribute(site, "nearest_mode=floor!")
    _values(site, "mode", "nearest", "linear")
    if site.given(3) or not site.given(2):
        raise Unconvertible("it has sizes, and the other opset knows scales only")
    _enlarging(site, "2")
    for name in ("nearest_mode", "cubic_coeff_a", "extrapolation_value", "exclude_outside"):
        site.drop(name)
    site.node.input[1:] = [site.given(2)]


def _resize_fill(site: Site) -> None:
    """Region and scales must be there before opset 13: empty ones are."""
    site.node.input.extend([""] * (3 - len(site.node.input)))
    for place, name in ((1, "roi"), (2, "scales")):
        if not site.node.input[place]:
            site.node.input[place] = site.constant(name, FLOAT, [], [0])


def _whole_steps(site: Site) -> None:
    if site.given(4) and any(step != 1 for step in site.numbers(site.given(4))):
        raise Unconvertible("it leaves elements out (steps), which the other side cannot")
    del site.node.input[4:]


def _split_up(site: Site) -> None:
    if not site.given(1):
        site.set("num_outputs", len(site.node.output))


def _split_down(site: Site) -> None:
    site.drop("num_outputs")
    if site.given(1):
        return
    axis, count = _number(site, "axis", 0), len(site.node.output)
    size = site.facts.shapes[site.given(0)][axis] if site.rank(site.given(0)) else None
    if size is None:
        raise Unconvertible("the size that it splits is not known, and the other side takes equal parts only")
    if size % count:
        part = -(-size // count)
        sizes = [part] * (count - 1) + [size - part * (count - 1)]
        site.node.input[1:] = [site.constant("split", INT64, sizes, [count])]


_RULES: Mapping[str, Callable[..., None]] = {rule.__name__[1:]: rule for rule in (
    _attribute, _attribute_to_input, _constant_value, _drop, _enlarging, _equal_shapes, _gemm_bias, _group_scale,
    _input_to_attribute, _inputs, _only, _outputs, _per_tensor, _positive, _positive_input, _rank, _refused, _rename,
    _rename_value, _resize_down, _resize_fill, _resize_up, _set_attribute, _softmax_down, _softmax_up, _split_down,
    _split_up, _untrained, _values, _whole_steps, _without,
)}  # fmt: skip
