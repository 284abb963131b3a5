"""``gunzip``: the one file inside a gzip."""

from __future__ import annotations

from modelprep.errors import StepError, StorageError
from modelprep.formats.archive import MAX_BYTES
from modelprep.steps import Call, Exempt, Facts, Param, Params, Sizes, Step

#: What a byte of deflate can become at most (zlib's technical details: 1032:1).
DEFLATE_RATIO = 1032


def _run(call: Call) -> Facts:
    from modelprep.formats.archive.decompress import Reader, compression_of
    from modelprep.formats.output import writing
    from modelprep.formats.sniff import HEAD, looks_like

    source, limit = call.params["file"], call.params["max_bytes"]
    try:
        with source.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise StorageError(f"the file cannot be read: {error.strerror or error}", where=str(source)) from None
    if compression_of(head) != "gzip":
        raise StepError(
            "not a gzip file", where=str(source), expected="1f 8b at its start", got=head[:8].hex(" ") or "nothing",
            looks_like=looks_like(head), hint="if the server has already unpacked it, use `copy` instead of `gunzip`",
        )  # fmt: skip
    with Reader(source, "gzip", progress=call.progress) as stream, writing(call.output) as write:
        for piece in stream.chunks():
            if stream.position > limit:
                raise StepError(
                    "the unpacked file is larger than allowed", where=str(source), expected=f"at most {limit} bytes",
                    got="more", hint="raise `max_bytes` in the recipe if the size is correct",
                )  # fmt: skip
            write(piece)
    return {"compressed_bytes": stream.consumed, "bytes": stream.position, "members": stream.parts}


def _room(params: Params, sizes: Sizes) -> int | None:
    limit: int = params["max_bytes"]
    if (size := sizes["file"]) is None:
        return limit if limit < MAX_BYTES else None
    return min(limit, DEFLATE_RATIO * size)


STEP = Step(
    name="gunzip",
    version=1,
    summary="Unpack a gzip file: all its members; anything after them but zero padding is an error.",
    params={
        "file": Param("file", "The gzip file.", required=True),
        "max_bytes": Param("int", "Refuse to write more than this (bytes).", default=MAX_BYTES),
    },
    run=_run,
    room=_room,
    proof=Exempt("it unpacks bytes without reading a model; gzip has a CRC-32 of them"),
)
