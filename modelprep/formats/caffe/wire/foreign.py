"""What a file that is no caffemodel looks like, by its first bytes."""

from __future__ import annotations

from modelprep.formats.sniff import Kind, recognise, recognise_model

#: Tags with which a NetParameter can begin: name, layers, input, input_dim, force_backward, ..., layer.
_FIRST_TAGS = frozenset({0x0A, 0x12, 0x1A, 0x20, 0x28, 0x32, 0x38, 0x42, 0xA2})
#: Kinds that may begin with a line feed, which is the first of those tags.
_TEXTS = ("web page", "xml", "json", "text", "prototxt", "text graph")


def looks_like(head: bytes) -> str:
    """Say what these first bytes (:data:`modelprep.formats.sniff.HEAD` of them) are; an empty string if unknown."""
    found = _recognise(head)
    return found.text if found else ""


def is_foreign(head: bytes) -> str:
    """Say what these first bytes are if they cannot begin a caffemodel; an empty string when they can."""
    found = _recognise(head)
    if found is None or not (found.name in _TEXTS or head[:1] == b"" or head[0] not in _FIRST_TAGS):
        return ""
    return found.text


def _recognise(head: bytes) -> Kind | None:
    found = recognise(head)
    # Kinds of models are told apart among texts only: the first fields of a damaged caffemodel mean nothing.
    text = recognise_model(head) if found is not None and found.name == "text" else None
    if text is not None and text.name == "prototxt":
        return Kind(text.name, "a prototxt (text), where the binary .caffemodel is expected")
    return text or found
