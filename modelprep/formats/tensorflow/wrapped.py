"""Graphs inside another message: a MetaGraphDef (``model.ckpt.meta``) and a SavedModel, TF-Hub modules among them.

``tf.train.Saver`` writes the one beside each checkpoint; the other is ``saved_model.pb``. Both hold a whole GraphDef.
Source: TensorFlow ``core/protobuf/{meta_graph,saved_model}.proto``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from modelprep.formats.protowire import BYTES, VARINT, Buffer, WireError, fields
from modelprep.formats.tensorflow.attrs import payload_in, read_strings

META_GRAPH = "a TensorFlow MetaGraphDef (the .meta file beside a checkpoint)"
SAVED_MODEL = "a TensorFlow SavedModel"
#: The file of a SavedModel's folder, and its variables' checkpoint.
SAVED_MODEL_FILE = "saved_model.pb"
VARIABLES = Path("variables", "variables")
#: An operation's name, which tells a node from the description that a MetaGraphDef begins with.
_OPERATION = re.compile(rb"[A-Za-z_>][A-Za-z0-9_.>/-]*")


#: How both begin as text.
_TEXT = ((re.compile(rb"\s*(meta_info_def|graph_def)\s*\{"), META_GRAPH),
         (re.compile(rb"\s*(saved_model_schema_version\s*:|meta_graphs\s*\{)"), SAVED_MODEL))  # fmt: skip


@dataclass(frozen=True)
class Wrapper:
    """What a graph is in.

    `kind`: :data:`META_GRAPH` or :data:`SAVED_MODEL`. `tags`: of the meta graph that it is, in a SavedModel. `outputs`:
    the nodes that its signature for serving answers with; empty if it has none.
    """

    kind: str
    graph: Buffer
    tags: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


def unwrap(data: Buffer) -> Wrapper | None:
    """Find the graph inside a binary MetaGraphDef or SavedModel; None if the bytes are neither."""
    try:
        first = next(iter(fields(data)), None)
        if first is None:
            return None
        number, kind, value, _, stop = first
        if (number, kind) == (1, BYTES):
            described = payload_in(data[value:stop], 2)
            if described is not None and _OPERATION.fullmatch(bytes(described)):
                return None  # a node, with its name and operation
            return _meta_graph(data)
        if (number, kind) in ((1, VARINT), (2, BYTES)):
            return _saved_model(data)
    except WireError:
        pass
    return None


def _meta_graph(data: Buffer, kind: str = META_GRAPH) -> Wrapper | None:
    graph = payload_in(data, 2)
    if graph is None or next(iter(fields(graph)), (0,))[0] not in (1, 2, 3, 4):
        return None
    described = payload_in(data, 1)
    tags = read_strings(described, 4) if described is not None else []
    return Wrapper(kind, graph, tuple(tag.decode("utf-8", "replace") for tag in tags), _outputs(data))


def _outputs(data: Buffer) -> tuple[str, ...]:
    """Return the nodes of a MetaGraphDef's signature: ``serving_default``, else the first; in file order."""
    found: dict[bytes, Buffer] = {}
    for number, kind, value, _, stop in fields(data):
        if (number, kind) == (5, BYTES) and (signature := payload_in(data[value:stop], 2)) is not None:
            found.setdefault(bytes(payload_in(data[value:stop], 1) or b""), signature)
    chosen = found.get(b"serving_default", next(iter(found.values()), b""))
    names = []
    for number, kind, value, _, stop in fields(chosen):
        if (number, kind) == (2, BYTES) and (tensor := payload_in(chosen[value:stop], 2)) is not None:
            names.append(bytes(payload_in(tensor, 1) or b"").decode("utf-8", "replace").partition(":")[0])
    return tuple(dict.fromkeys(filter(None, names)))


def _saved_model(data: Buffer) -> Wrapper | None:
    """Choose a SavedModel's graph for inference: the one tagged ``serve``, else one without tags, else the first."""
    found = [
        wrapper
        for number, kind, value, _, stop in fields(data)
        if (number, kind) == (2, BYTES) and (wrapper := _meta_graph(data[value:stop], SAVED_MODEL)) is not None
    ]
    return min(found, key=lambda one: 0 if "serve" in one.tags else 1 if not one.tags else 2, default=None)


def text_kind(head: bytes) -> str:
    """Say which of the two a text begins; an empty string for neither."""
    return next((kind for pattern, kind in _TEXT if pattern.match(head)), "")
