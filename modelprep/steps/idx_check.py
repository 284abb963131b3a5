"""``idx.check``: check that MNIST's pictures and labels are valid for Arm NN.

The board's test reads the counts and sizes but ignores both: it takes picture K at byte 16 + 784 K and label K at byte
8 + K (Arm NN 19.02, tests/MnistDatabase.cpp). A set whose two files do not agree shows there as odd predictions.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from modelprep.errors import StepError
from modelprep.steps import Call, Exempt, Facts, Param, Step, same_size

if TYPE_CHECKING:
    from modelprep.formats import idx

_SIDE = 28


def _run(call: Call) -> Facts:
    from modelprep.formats.output import copy

    images, labels = call.params["images"], call.params["labels"]
    facts = check(images, labels, classes=call.params["classes"])
    if (facts["rows"], facts["columns"]) != (_SIDE, _SIDE):
        call.warn(
            f"the pictures are {facts['columns']}x{facts['rows']}; Arm NN's tests read every record as 28x28 bytes"
        )
    copy(images, call.output / "images", call.progress)
    if labels is not None:
        copy(labels, call.output / "labels")
    return facts


def check(images: Path, labels: Path | None, *, classes: int = 10) -> dict[str, object]:
    """Check pictures, and labels if there are any, against their headers and each other.

    `images`: idx file, magic 2051: uint8 of shape (count, rows, columns). `labels`: idx file, magic 2049: uint8 of
    shape (count,), values 0 to `classes` - 1. Returns ``count``, ``rows``, ``columns`` and, with labels, ``labels``
    (label -> how often) and ``first_labels``. Raises StepError: a file is not of its kind, truncated, swapped with the
    other one, or the two do not agree.
    """
    from modelprep.formats import idx

    pictures = _header(images, "images", idx.IMAGES_MAGIC, idx.LABELS_MAGIC)
    count, rows, columns = pictures.shape
    if 0 in pictures.shape:
        raise StepError("the idx file has no pictures", where=str(images), got=f"shape {count}x{rows}x{columns}")
    facts: dict[str, object] = {"count": count, "rows": rows, "columns": columns}
    if labels is None:
        return facts
    marks = _header(labels, "labels", idx.LABELS_MAGIC, idx.IMAGES_MAGIC)
    if marks.shape[0] != count:
        raise StepError(
            "the numbers of labels and pictures differ", where=str(labels), expected=f"{count} labels",
            got=f"{marks.shape[0]} labels",
            hint="take both files from one set: t10k-images with t10k-labels, train-images with train-labels",
        )  # fmt: skip
    found: Counter[int] = Counter()
    first: list[int] = []
    with labels.open("rb") as file:
        file.seek(marks.size)
        position = 0
        while piece := file.read(1 << 20):
            found.update(piece)
            first.extend(piece[: max(0, 10 - len(first))])
            if max(found) >= classes:
                at = next(i for i, label in enumerate(piece) if label >= classes)
                raise StepError(
                    "a label is out of range",
                    where=f"{labels}, record {position + at} (byte {marks.size + position + at})",
                    expected=f"0 to {classes - 1}",
                    got=str(piece[at]),
                    hint="this may be another data set; set `classes` if it has more of them",
                )
            position += len(piece)
    return {**facts, "labels": {str(label): found[label] for label in sorted(found)}, "first_labels": first}


def _header(path: Path, role: str, magic: int, other: int) -> idx.Header:
    from modelprep.formats import idx

    header = idx.read_header(path, name=role)
    if header.magic == magic:
        return header
    looks, hint = None, None
    if header.magic == other:
        looks = "the labels" if other == idx.LABELS_MAGIC else "the pictures"
        hint = "pictures and labels are swapped: exchange `images` and `labels` in the recipe"
    raise StepError(
        f"not an idx file of {role}", where=str(path), expected=f"magic number {magic}", looks_like=looks, hint=hint,
        got=f"{header.magic} ({header.dtype}, {len(header.shape)} dimensions)",
    )  # fmt: skip


STEP = Step(
    name="idx.check",
    version=1,
    summary="Check MNIST's pictures and labels (magic, counts, lengths, range) and write them into a folder.",
    params={
        "images": Param("file", "The pictures, unpacked: idx, magic 2051.", required=True),
        "labels": Param("file", "The labels, unpacked: idx, magic 2049."),
        "classes": Param("int", "Labels are below this.", default=10),
    },
    run=_run,
    room=same_size,
    proof=Exempt("it reads a data set and copies its bytes"),
    produces="folder",
)
