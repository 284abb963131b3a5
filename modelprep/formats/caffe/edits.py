"""Changes to a net that a user asks for: batch, name of the input, outputs to keep, single fields.

Each works on the parsed message (V2 layers), tells what it changed, and is an error when it could change nothing.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from typing import Any

from modelprep.errors import StepError, nearest
from modelprep.formats.caffe.messages import chosen, replace_layers
from modelprep.formats.protos import is_repeated

#: Caffe counts in int: a dimension beyond fits no blob (``blob.cpp``, Blob::Reshape).
MAX_DIMENSION = 2**31 - 1

_SEGMENT = re.compile(r"(?P<name>[a-z0-9_]+)(?:\[(?P<index>\d+)\])?\Z")
_SELECTOR = re.compile(r"(?P<what>layer|net)(?:\[(?P<where>[^\]]*)\])?\.(?P<path>.+)\Z", re.DOTALL)


def set_batch(net: Any, batch: int) -> list[str]:
    """Set the first dimension of every input shape.

    Raises StepError: there is no Input layer, or one has no shape to set.
    """
    if not 1 <= batch <= MAX_DIMENSION:
        raise StepError("there is no such batch", expected=f"1 to {MAX_DIMENSION}", got=str(batch))
    layers = [layer for layer in net.layer if layer.type == "Input"]
    if not layers:
        others = [f"'{layer.name}' ({layer.type})" for layer in net.layer if not layer.bottom]
        raise StepError(
            "the net has no Input layer whose batch could be set",
            expected="a deploy prototxt",
            got=f"data from {', '.join(others)}" if others else "no data at all",
            hint="take the net's deploy.prototxt, not its train_val.prototxt",
        )
    changes = []
    for layer in layers:
        shapes = [shape for shape in layer.input_param.shape if shape.dim]
        if not shapes:
            raise StepError(
                "the input has no shape whose batch could be set",
                where=f"layer '{layer.name}' (Input)",
                hint="set it: set: {'layer[type=Input].input_param.shape[0].dim': [1, 3, 224, 224]}",
            )
        for shape in shapes:
            if shape.dim[0] != batch:
                changes.append(f"batch of the input '{layer.name}': {shape.dim[0]} -> {batch}")
                shape.dim[0] = batch
    return changes


def rename_input(net: Any, name: str) -> list[str]:
    """Rename the Input layer; its top (the blob) keeps its name, so nothing else has to change.

    Raises StepError: there is not exactly one Input layer, or another layer has that name already.
    """
    if not name:
        raise StepError("the input layer needs a name", got="''", hint="the one that the board's program binds: data")
    layers = [layer for layer in net.layer if layer.type == "Input"]
    if len(layers) != 1:
        raise StepError(
            "there must be exactly one Input layer to rename",
            got=", ".join(f"'{layer.name}'" for layer in layers) or "none",
            hint="with several: set: {'layer[name=OLD].name': NEW}",
        )
    if layers[0].name == name:
        return []
    if any(layer.name == name for layer in net.layer):
        raise StepError(f"another layer is called '{name}' already", expected="a name that is free")
    change = f"input layer '{layers[0].name}' -> '{name}'"
    layers[0].name = name
    return [change]


def keep_outputs(net: Any, outputs: Sequence[str]) -> list[str]:
    """Drop every layer that these tops do not need.

    `net`: of one phase, with no Split layers yet. Raises StepError: no layer makes one of the tops.
    """
    tops = [top for layer in net.layer for top in layer.top]
    for output in outputs:
        if output not in tops:
            raise StepError(
                f"no layer makes the output '{output}'",
                expected="the name of a top",
                hint=nearest(output, sorted(set(tops))) or f"the net's last top is '{tops[-1]}'" if tops else None,
            )
    needed = set(outputs)
    dropped: list[str] = []
    kept: list[Any] = []
    for layer in reversed(net.layer):
        made = needed.intersection(layer.top)
        if not made:
            dropped.append(layer.name)
            continue
        # Above a layer that makes a top, another blob may have its name; in place it is the same blob.
        needed -= made
        needed.update(layer.bottom)
        kept.append(layer)
    if dropped:
        replace_layers(net, kept[::-1])
    return [f"layer '{name}' dropped: the outputs do not need it" for name in reversed(dropped)]


def set_fields(net: Any, edits: Mapping[str, object]) -> list[str]:
    """Set single fields by path.

    `edits`: ``layer[type=LRN,name=norm*].lrn_param.norm_region`` -> value. In brackets: conditions on ``name`` and
    ``type``, shell patterns allowed, all of which must match; none means every layer. The path leads through messages;
    a repeated message takes an index (``shape[0]``), a repeated number a list or an index. ``net.name`` sets a field of
    the net. None clears the field. Raises StepError: a selector is malformed, matches no layer, names no field, or
    changes nothing.
    """
    changes: list[str] = []
    for selector, value in edits.items():
        targets, path = _targets(net, selector)
        made = [(_set(target, path, value, selector), target) for target in targets]
        found = [f"{target.name or 'net'}: {change}" for change, target in made if change]
        if not found:
            raise StepError(
                "an edit changes nothing: the field already has this value",
                where=selector,
                got=f"{len(targets)} matches, all with {value!r}",
                hint="remove the edit, or check that this is the right prototxt",
            )
        changes += found
    return changes


def _targets(net: Any, selector: str) -> tuple[list[Any], list[tuple[str, int | None]]]:
    """Return the messages that a selector means, and its path in each."""
    match = _SELECTOR.match(selector)
    if match is None:
        raise StepError(
            "an edit's path is malformed",
            got=selector,
            expected="layer[type=LRN].lrn_param.norm_region, layer[name=data].input_param.shape[0].dim, net.name",
        )
    if match["what"] == "net":
        return [net], _path(match["path"], selector)
    conditions: dict[str, str] = {}
    for part in filter(None, (match["where"] or "").split(",")):
        key, equals, pattern = part.partition("=")
        if not equals or key.strip() not in ("name", "type"):
            expected = "name=PATTERN or type=PATTERN"
            raise StepError("an edit's condition is malformed", got=part, expected=expected, where=selector)
        conditions[key.strip()] = pattern.strip()
    found = list(net.layer)
    for key, pattern in conditions.items():
        found = [layer for layer in found if fnmatch.fnmatchcase(getattr(layer, key), pattern)]
    if not found:
        hints = [nearest(p, sorted({getattr(layer, k) for layer in net.layer})) for k, p in conditions.items()]
        raise StepError("an edit matches no layer", where=selector, hint=next(filter(None, hints), None))
    return found, _path(match["path"], selector)


def _path(text: str, selector: str) -> list[tuple[str, int | None]]:
    path = []
    for part in text.split("."):
        segment = _SEGMENT.match(part)
        if segment is None:
            raise StepError("an edit's path is malformed", where=selector, got=part, expected="field or field[index]")
        path.append((segment["name"], None if segment["index"] is None else int(segment["index"])))
    return path


def _set(message: Any, path: list[tuple[str, int | None]], value: object, selector: str) -> str | None:
    (name, index), rest = path[0], path[1:]
    field = message.DESCRIPTOR.fields_by_name.get(name)
    if field is None:
        raise StepError(
            f"there is no field '{name}'",
            where=f"{selector} (in {message.DESCRIPTOR.name})",
            hint=nearest(name, list(message.DESCRIPTOR.fields_by_name)) or None,
        )
    if index is not None and not (is_repeated(field) and index < len(getattr(message, name))):
        size = len(getattr(message, name)) if is_repeated(field) else 0
        raise StepError(f"there is no {name}[{index}]", where=selector, got=f"{size} of them")
    if rest:
        if field.message_type is None or (is_repeated(field) and index is None):
            what = "a list" if is_repeated(field) else "no message"
            raise StepError(f"the path leads through '{name}', which is {what}", where=selector)
        inner = getattr(message, name)
        return _set(inner if index is None else inner[index], rest, value, selector)
    if field.message_type is not None and value is not None:
        raise StepError(f"'{name}' is a message: lead the path on to one of its fields", where=selector)
    before = message.SerializeToString(deterministic=True)
    old = _show(message, field, index)
    try:
        _assign(message, field, index, value)
    except (TypeError, ValueError) as error:
        what = f"'{name}' cannot take this value"
        raise StepError(what, where=selector, got=repr(value), expected=str(error)) from error
    if message.SerializeToString(deterministic=True) == before:
        return None
    return f"{name} {old} -> {_show(message, field, index)}"


def _assign(message: Any, field: Any, index: int | None, value: object) -> None:
    if value is None and index is None:
        message.ClearField(field.name)
    elif value is None:
        del getattr(message, field.name)[index]
    elif index is not None:
        getattr(message, field.name)[index] = _scalar(field, value)
    elif is_repeated(field):
        values = [_scalar(field, item) for item in (value if isinstance(value, list | tuple) else [value])]
        message.ClearField(field.name)
        getattr(message, field.name).extend(values)
    else:
        setattr(message, field.name, _scalar(field, value))


def _scalar(field: Any, value: object) -> object:
    if field.enum_type is not None and isinstance(value, str):
        number = field.enum_type.values_by_name.get(value)
        if number is None:
            raise ValueError(f"one of {', '.join(field.enum_type.values_by_name)}")
        return number.number
    if isinstance(value, bool) and field.cpp_type != field.CPPTYPE_BOOL:
        raise ValueError("a number or a text, not true or false")
    return value


def _show(message: Any, field: Any, index: int | None) -> str:
    value = getattr(message, field.name)
    if is_repeated(field):
        return str(list(value) if index is None else value[index] if index < len(value) else "gone")
    if not message.HasField(field.name):
        return "(not written)"
    return chosen(message, field.name) if field.enum_type is not None else str(value)
