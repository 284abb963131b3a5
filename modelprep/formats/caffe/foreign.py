"""What a file that is no caffemodel looks like, told from its first bytes."""

from __future__ import annotations

from modelprep.formats import looks

#: Tags with which a NetParameter can begin: name, layers, input, input_dim, force_backward, ..., layer.
_FIRST_TAGS = frozenset({0x0A, 0x12, 0x1A, 0x20, 0x28, 0x32, 0x38, 0x42, 0xA2})


def looks_like(head: bytes) -> str:
    """Say what these first bytes (:data:`modelprep.formats.looks.HEAD` of them) are; an empty string when unknown."""
    found = looks.looks_like(head)
    if found == "text":
        is_net = any(word in head for word in (b"layer", b"input", b"name")) and (b"{" in head or b":" in head)
        return "a prototxt (text), where the binary .caffemodel is wanted" if is_net else "text"
    if head[:2] == b"\x80\x02":
        return "a Python pickle (an old PyTorch file?)"
    return found


def is_foreign(head: bytes) -> str:
    """Say what these first bytes are if they cannot begin a caffemodel; an empty string when they can."""
    found = looks_like(head)
    if found and (head[:1] == b"" or head[0] not in _FIRST_TAGS or "text" in found):
        return found
    return ""
