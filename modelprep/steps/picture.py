"""``picture``: a picture that the board's decoder reads correctly, unchanged if possible.

The board's test programs decode with stb_image, which ignores rotation and transparency and does not fill missing
colours. A picture that it reads correctly is copied; others are converted to a 24-bit BMP, which every decoder reads to
the same pixels and which needs no compressor, so that the bytes are the same on every machine.
"""

from __future__ import annotations

import struct
from typing import Any

from modelprep.errors import MissingTool, StepError, StorageError
from modelprep.formats.arrays import Array
from modelprep.installed import install_command
from modelprep.steps import Call, Exempt, Facts, Param, Step

#: Rows that are converted at a time, to spare memory.
_STRIP = 256


def _run(call: Call) -> Facts:
    from importlib.util import find_spec

    from modelprep.formats.output import copy, writing
    from modelprep.formats.picture import decode
    from modelprep.formats.picture.headers import read_headers

    source = call.params["file"]
    try:
        data = decode.bytes_of(source)
    except OSError as error:
        raise StorageError(f"the picture cannot be read: {error.strerror or error}", where=str(source)) from None
    found = read_headers(data, origin=str(source))
    if not found.kind:
        from modelprep.formats.sniff import HEAD, looks_like

        raise StepError(
            "not a picture", where=str(source), expected="JPEG, PNG or BMP",
            got=f"first bytes {data[:8].hex(' ')}" if data else "an empty file", looks_like=looks_like(data[:HEAD]),
            hint="take a JPEG, PNG or BMP; a page that shows a picture is not the picture",
        )  # fmt: skip
    if not found.unfit:
        # The headers are complete. With numpy a JPEG's coded data are checked too.
        if found.kind == "jpeg" and find_spec("numpy") is not None:
            decode.decode(data, origin=str(source))
        copy(source, call.output, call.progress)
        return {"kind": found.kind, "width": found.width, "height": found.height, "converted": ""}
    pixels = _as_seen(data, found.kind, str(source), found.unfit)
    height, width = pixels.shape[:2]
    with writing(call.output) as write:
        write(bmp(pixels))
    call.warn(f"the picture was converted to a 24-bit BMP of {width}x{height}: {found.unfit}")
    return {"kind": found.kind, "width": width, "height": height, "converted": found.unfit}


def _as_seen(data: bytes, kind: str, origin: str, reason: str) -> Array:
    """Decode to the upright red, green and blue that a person sees: uint8 (height, width, 3)."""
    from modelprep.formats.picture import decode

    try:
        import numpy as np

        if kind == "jpeg":
            pixels = decode.decode(data, origin=origin).pixels
            if pixels.shape[2] == 1:
                pixels = np.repeat(pixels, 3, axis=2)
            return np.ascontiguousarray(_turned(pixels, decode.exif_orientation(data)))
        return _by_pillow(data, kind, origin)
    except ImportError as error:
        raise MissingTool(
            "this picture must be converted, which needs numpy and Pillow", where=origin, got=reason,
            hint=f"{install_command('check')}, or save the picture as an upright RGB JPEG or PNG",
        ) from error  # fmt: skip


def _turned(pixels: Array, orientation: int) -> Array:
    """Undo an EXIF orientation (Exif 2.3, 4.6.4 A: where row 0 and column 0 of the stored picture are)."""
    import numpy as np

    # 5 and 7 mirror first and turn then, as all readers do.
    mirrored = pixels[:, ::-1] if orientation in (2, 4, 5, 7) else pixels
    return np.rot90(mirrored, {3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}.get(orientation, 0))


def _by_pillow(data: bytes, kind: str, origin: str) -> Array:
    import io

    import numpy as np
    from PIL import Image, ImageOps

    from modelprep.formats.picture.decode import hold_size

    # Pillow's plug-ins raise AssertionError, struct.error and the like for damaged files.
    damage = (OSError, ValueError, SyntaxError, EOFError, AssertionError, KeyError, IndexError, TypeError)
    try:
        # Only the reader of its kind: Pillow has others that start programs.
        with Image.open(io.BytesIO(data), formats=(kind.upper(),)) as image:
            hold_size(image, data, origin)
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            if image.mode.startswith("I;16") or image.mode == "I":
                high = (np.asarray(image) >> 8).astype(np.uint8)
                return np.repeat(high[:, :, None], 3, axis=2)
            if image.mode == "F":
                raise StepError("the picture contains numbers, not colours", where=origin, hint="save it as RGB")
            pixels: Any = np.empty((image.height, image.width, 3), np.uint8)
            for top in range(0, image.height, _STRIP):
                strip = image.crop((0, top, image.width, min(top + _STRIP, image.height)))
                if "A" in strip.getbands() or "transparency" in strip.info:
                    # The background of transparent parts is white, as on a page.
                    ground = Image.new("RGBA", strip.size, (255, 255, 255, 255))
                    strip = Image.alpha_composite(ground, strip.convert("RGBA"))
                pixels[top : top + _STRIP] = np.asarray(strip.convert("RGB"), np.uint8)
            return pixels
    except (*damage, struct.error, Image.DecompressionBombError) as error:
        raise StepError("the picture is damaged", where=origin, got=str(error) or type(error).__name__) from error


def bmp(pixels: Array) -> bytes:
    """Return pixels (uint8, shape (height, width, 3), red first) as a 24-bit BMP."""
    import numpy as np

    height, width, _ = pixels.shape
    rows = np.zeros((height, (width * 3 + 3) // 4 * 4), np.uint8)
    rows[:, : width * 3] = pixels[::-1, :, ::-1].reshape(height, width * 3)
    size = 54 + rows.size
    # BITMAPFILEHEADER and BITMAPINFOHEADER; 2835 pixels a metre are 72 an inch.
    head = struct.pack("<2sIHHI", b"BM", size, 0, 0, 54)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, rows.size, 2835, 2835, 0, 0)
    return b"".join((head, info, memoryview(rows.reshape(-1))))


STEP = Step(
    name="picture",
    version=1,
    summary="Prepare a picture for the board's decoder: unchanged if possible, else upright RGB as BMP.",
    params={
        "file": Param("file", "The picture: JPEG, PNG, BMP; others are converted if Pillow reads them.", required=True)
    },
    run=_run,
    proof=Exempt("it makes a picture, not a model; the check shows the network's input"),
)
