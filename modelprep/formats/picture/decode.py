"""Pictures as the board's test programs see them: stb_image's pixels, whatever the file's name or EXIF tags say."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelprep.errors import MissingTool, StepError
from modelprep.formats.picture import stb_formats
from modelprep.installed import install_command

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MAGIC = (
    (b"\xff\xd8", "jpeg"), (b"\x89PNG\r\n\x1a\n", "png"), (b"BM", "bmp"), (b"GIF8", "gif"), (b"RIFF", "webp"),
    (b"II*\0", "tiff"), (b"MM\0*", "tiff"), (b"P5", "pnm"), (b"P6", "pnm"), (b"8BPS", "psd"),
    (b"\x53\x80\xf6\x34", "pic"), (b"#?RADIANCE\n", "hdr"), (b"#?RGBE\n", "hdr"),
)  # fmt: skip
#: What is decoded here of the above, pixel by pixel as stb_image does it.
READABLE = ("jpeg", "png", "bmp", "gif", "pnm")
#: What stb_image reads as well.
UNMODELLED = ("psd", "pic", "hdr")
MAX_BYTES = 256 << 20
MAX_PIXELS = 1 << 26
#: A picture may have so many pixels whatever the size of its file: those of a camera. Each takes up to 14 bytes here.
_SOME_PIXELS = 12 << 20
#: More than that only as the file grows: a photograph has 2 to 8 pixels a byte.
_PIXELS_A_BYTE = 12


def max_pixels(size: int) -> int:
    """Return how many pixels a picture file of `size` bytes may have: a small file must not take all memory."""
    return min(MAX_PIXELS, max(_SOME_PIXELS, _PIXELS_A_BYTE * size))


@dataclass(frozen=True)
class Picture:
    """A decoded picture.

    `pixels`: uint8, shape (height, width, channels); 1 channel grey, 2 grey and alpha, 3 RGB, 4 RGBA. `kind`: ``jpeg``,
    ``png``, ``bmp``, ``gif``, ``pnm`` or ``tga``. `warnings`: what to know before trusting the board's answer (rotated
    by EXIF, grey, alpha).
    """

    pixels: NDArray[np.uint8]
    kind: str
    warnings: tuple[str, ...] = ()

    def three_channels(self) -> NDArray[np.uint8]:
        """Return R, G and B as the tests take them: the first three channels, those that are missing zero."""
        import numpy as np

        height, width, channels = self.pixels.shape
        if channels == 3:
            return self.pixels
        out = np.zeros((height, width, 3), np.uint8)
        count = min(channels, 3)
        out[:, :, :count] = self.pixels[:, :, :count]
        return out


def kind_of(head: bytes) -> str:
    """Name the kind of picture that a file's first bytes announce, or return an empty string."""
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), "")


def read(path: Path, *, exact: bool = True) -> Picture:
    """Read a picture file as stb_image would.

    `exact`: False decodes a JPEG with Pillow, which is fifty times as fast and may differ from stb_image by a few steps
    of grey: enough for whatever is no verdict (a first pass over a folder, a thumbnail). Raises StepError: no picture,
    a damaged one, or a kind that the board's decoder does not read.
    """
    return decode(bytes_of(path), origin=str(path), exact=exact)


def bytes_of(path: Path) -> bytes:
    """Return what a picture file holds.

    Raises StepError: it is too large for one.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise StepError(
            "the picture file is too large", where=str(path), expected=f"at most {MAX_BYTES} bytes", got=f"{size} bytes"
        )
    return path.read_bytes()


def hold_size(image: Any, data: bytes, origin: str) -> None:
    """Refuse a picture that Pillow has opened and that has more pixels than its file may have."""
    if image.width * image.height > max_pixels(len(data)):
        raise StepError(
            "the picture is too large for its file", where=origin,
            expected=f"at most {max_pixels(len(data))} pixels", got=f"{image.width}x{image.height}",
        )  # fmt: skip


def decode(data: bytes, *, origin: str, exact: bool = True) -> Picture:
    """Decode a picture from its bytes; see :func:`read`."""
    kind = kind_of(data[:16])
    if kind in UNMODELLED:
        what = f"the board's decoder reads {kind.upper()} pictures, this one does not"
        raise MissingTool(what, where=origin, hint="save it as an RGB JPEG or PNG")
    if not kind and stb_formats.is_tga(data):
        kind = "tga"
    if kind not in (*READABLE, "tga"):
        raise StepError(
            "the board's decoder does not read this as a picture",
            where=origin, expected="JPEG, PNG, BMP, GIF, PNM or TGA", got=kind or f"first bytes {data[:8].hex(' ')}",
            hint="save it as an RGB JPEG or PNG",
        )  # fmt: skip
    if kind == "jpeg" and not exact and find_spec("PIL") is not None:
        pixels = _by_pillow(data, origin)
    elif kind == "jpeg":
        from modelprep.formats import jpeg

        pixels = jpeg.decode(data, origin=origin, max_pixels=max_pixels(len(data)))
    elif kind in ("png", "bmp"):
        pixels = _by_pillow(stb_formats.repaired_png(data) if kind == "png" else data, origin)
    else:
        read_it = {"gif": stb_formats.decode_gif, "pnm": stb_formats.decode_pnm, "tga": stb_formats.decode_tga}[kind]
        pixels = read_it(data, origin)
    return Picture(pixels, kind, tuple(_warnings(data, kind, pixels)))


def _by_pillow(data: bytes, origin: str) -> NDArray[np.uint8]:
    """Decode through Pillow: PNG and BMP are lossless, so every decoder agrees on the pixels."""
    import io

    import numpy as np

    try:
        from PIL import Image
    except ImportError as error:
        raise MissingTool(
            "reading PNG and BMP pictures needs Pillow", where=origin, hint=install_command("check")
        ) from error
    try:
        with Image.open(io.BytesIO(data)) as image:
            hold_size(image, data, origin)
            image.load()
            mode = image.mode
            # CMYK and YCbCr are of a JPEG; stb_image makes RGB of them.
            turned = {"P": "RGBA" if "transparency" in image.info else "RGB", "1": "L", "CMYK": "RGB", "YCbCr": "RGB"}
            if mode in turned:
                image = image.convert(turned[mode])
            elif mode.startswith("I;16") or mode == "I":
                # stb_image keeps the high byte of 16-bit samples.
                return (np.asarray(image) >> 8).astype(np.uint8)[:, :, None]
            elif mode not in ("L", "LA", "RGB", "RGBA"):
                raise StepError(
                    "the board's decoder does not read this colour mode", where=origin, got=mode, hint="save it as RGB"
                )
            pixels = np.asarray(image, np.uint8)
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        reason = str(error).partition(" <")[0]  # Pillow names the object that it reads from
        raise StepError("the picture is damaged", where=origin, got=reason or type(error).__name__) from error
    return pixels if pixels.ndim == 3 else pixels[:, :, None]


def _warnings(data: bytes, kind: str, pixels: NDArray[np.uint8]) -> list[str]:
    found = []
    channels = pixels.shape[2]
    if channels < 3:
        found.append("grey picture: the board puts its values into red and leaves green and blue black; save it as RGB")
    if channels == 4:
        found.append("the picture has an alpha channel, which the board drops")
    if kind == "jpeg" and exif_orientation(data) not in (0, 1):
        found.append("EXIF says that the picture is to be turned; the board does not turn it")
    return found


def exif_orientation(data: bytes) -> int:
    """Return the orientation tag (274) of a JPEG's EXIF block, 1 to 8, or 0 if there is none."""
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF and data[position + 1] not in (0xDA, 0xD9):
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        body = data[position + 4 : position + 2 + length]
        if data[position + 1] == 0xE1 and body[:6] == b"Exif\0\0":
            return orientation_of_tiff(body[6:])
        position += 2 + max(length, 2)
    return 0


def orientation_of_tiff(tiff: bytes) -> int:
    """Return the orientation tag (274) of a TIFF block, as EXIF data are, or 0 if there is none."""
    if tiff[:2] not in (b"II", b"MM"):
        return 0

    def number(at: int, size: int) -> int:
        return int.from_bytes(tiff[at : at + size], "little" if tiff[:1] == b"I" else "big")

    directory = number(4, 4)
    for entry in range(min(number(directory, 2), 512)):
        at = directory + 2 + 12 * entry
        if number(at, 2) == 274:
            value = number(at + 8, 2)
            return value if 1 <= value <= 8 else 0
    return 0
