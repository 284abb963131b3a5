"""The `picture` step: a picture that the board reads well goes through untouched, another is converted or refused."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelprep.errors import ModelprepError, StepError
from modelprep.formats.picture.headers import read_headers
from modelprep.steps import Call, find

np = pytest.importorskip("numpy", reason="pictures are made with numpy")
Image = pytest.importorskip("PIL.Image", reason="pictures are made with Pillow")
ImageOps = pytest.importorskip("PIL.ImageOps", reason="pictures are made with Pillow")


def scene(width: int = 20, height: int = 12) -> Any:
    """A picture in which every corner has a colour of its own."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2] = (250, 30, 30)
    pixels[: height // 2, width // 2 :] = (30, 250, 30)
    pixels[height // 2 :, : width // 2] = (30, 30, 250)
    return Image.fromarray(pixels)


def saved(image: Any, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[274] = orientation
    return bytes(tags.tobytes())


def run(tmp_path: Path, data: bytes) -> tuple[bytes, dict[str, Any], list[str]]:
    source, output, warnings = tmp_path / "in", tmp_path / "out", []
    source.write_bytes(data)
    output.unlink(missing_ok=True)
    step = find("picture")
    facts = step.run(Call({"file": source}, output, warn=warnings.append))
    assert facts is not None
    return output.read_bytes(), dict(facts), warnings


def refused(tmp_path: Path, data: bytes) -> StepError:
    with pytest.raises(StepError) as caught:
        run(tmp_path, data)
    assert not (tmp_path / "out").exists()
    return caught.value


def board_sees(data: bytes) -> Any:
    """What the board's decoder makes of a file: the first three channels, those that are missing black."""
    from modelprep.formats.picture.decode import decode

    return decode(data, origin="test").three_channels()


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("JPEG", {"subsampling": 2, "restart_marker_blocks": 1}),
        ("JPEG", {"exif": exif(1)}),
        ("PNG", {}),
        ("BMP", {}),
    ],
)
def test_a_picture_that_the_board_reads_well_goes_through_byte_for_byte(
    tmp_path: Path, kind: str, options: dict[str, Any]
) -> None:
    data = saved(scene(), kind, **options)
    assert run(tmp_path, data) == (data, {"kind": kind.lower(), "width": 20, "height": 12, "converted": ""}, [])


def test_a_palette_png_goes_through(tmp_path: Path) -> None:
    data = saved(scene().quantize(8), "PNG")
    assert run(tmp_path, data)[0] == data


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_jpeg_that_exif_says_is_to_be_turned_is_turned(tmp_path: Path, orientation: int) -> None:
    plain = saved(scene(), "JPEG", quality=95)
    out, facts, warnings = run(tmp_path, saved(scene(), "JPEG", quality=95, exif=exif(orientation)))
    # Pillow's own turning is the oracle; the pixels are the board's, so that turning is all that differs.
    wanted = ImageOps.exif_transpose(turnable(Image.fromarray(board_sees(plain)), orientation))
    assert np.array_equal(board_sees(out), np.asarray(wanted))
    assert f"orientation {orientation}" in warnings[0]
    assert (facts["width"], facts["height"]) == wanted.size


def turnable(image: Any, orientation: int) -> Any:
    image.getexif()[274] = orientation
    return image


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_grey_picture_gets_its_three_colours(tmp_path: Path, kind: str) -> None:
    grey = scene().convert("L")
    out, _, warnings = run(tmp_path, saved(grey, kind, quality=95))
    seen = board_sees(out)
    assert np.array_equal(seen[:, :, 0], seen[:, :, 1])
    assert np.array_equal(seen[:, :, 0], seen[:, :, 2])
    assert abs(seen[:, :, 0].astype(int) - np.asarray(grey)).max() <= 12
    assert "grey" in warnings[0]


def test_a_cmyk_jpeg_becomes_rgb(tmp_path: Path) -> None:
    out, _, warnings = run(tmp_path, saved(scene().convert("CMYK"), "JPEG", quality=95))
    assert abs(board_sees(out).astype(int) - np.asarray(scene())).mean() < 12
    assert "CMYK" in warnings[0]


def test_transparent_parts_lie_over_white(tmp_path: Path) -> None:
    image = scene().convert("RGBA")
    image.putpixel((0, 0), (0, 0, 0, 0))
    out, _, warnings = run(tmp_path, saved(image, "PNG"))
    assert board_sees(out)[0, 0].tolist() == [255, 255, 255]
    assert board_sees(out)[1, 1].tolist() == [250, 30, 30]
    assert "transparent" in warnings[0]


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP"])
def test_other_kinds_are_converted(tmp_path: Path, kind: str) -> None:
    if kind not in Image.registered_extensions().values():
        pytest.skip(f"this Pillow writes no {kind}")
    out, facts, warnings = run(tmp_path, saved(scene(), kind, **({"lossless": True} if kind == "WEBP" else {})))
    assert out.startswith(b"BM")
    assert np.array_equal(board_sees(out), np.asarray(scene()))
    assert kind.lower() in warnings[0]
    assert facts["converted"]


def test_a_conversion_gives_the_same_bytes_each_time(tmp_path: Path) -> None:
    data = saved(scene(), "JPEG", exif=exif(6))
    out = run(tmp_path, data)[0]
    assert out == run(tmp_path, data)[0]
    # Pillow reads the BMP as we do.
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(out))), board_sees(out))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a picture"),
        (b"<!DOCTYPE html><html><body>no picture</body></html>", "not a picture"),
        (b"version https://git-lfs.github.com/spec/v1\n", "not a picture"),
        (b"BM", "cut short"),
        (b"\xff\xd8\xff\xd9", "no picture"),
        (b"\x89PNG\r\n\x1a\n", "cut short"),
        (b"GIF89a but no more", "damaged"),
        (b"RIFF\0\0\0\0WAVE", "not a picture"),
    ],
)
def test_what_is_no_picture_is_refused_with_the_reason(tmp_path: Path, data: bytes, reason: str) -> None:
    error = refused(tmp_path, data)
    assert reason in str(error)
    if b"html" in data:
        assert error.looks_like


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP"])
@pytest.mark.parametrize("part", [0.3, 0.7, 0.97])
def test_a_picture_that_is_cut_short_is_refused(tmp_path: Path, kind: str, part: float) -> None:
    data = saved(scene(64, 48), kind)
    error = refused(tmp_path, data[: int(len(data) * part)])
    assert "short" in str(error) or "early" in str(error)


def test_a_changed_byte_in_a_png_is_found(tmp_path: Path) -> None:
    data = bytearray(saved(scene(), "PNG"))
    data[data.index(b"IDAT") + 10] ^= 1
    assert "checksum" in str(refused(tmp_path, bytes(data)))


def test_damage_in_the_coded_data_of_a_jpeg_is_found(tmp_path: Path) -> None:
    data = saved(scene(256, 256), "JPEG", quality=95)
    start = data.index(b"\xff\xda") + 14
    refused(tmp_path, data[: start + 40] + data[-2:])


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1 << 20, 1 << 20, 8, 2, 0, 0, 0))
    assert "too large" in str(refused(tmp_path, b"\x89PNG\r\n\x1a\n" + head))
    small = chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 2, 0, 0, 0))
    bomb = chunk(b"IDAT", zlib.compress(bytes(50_000_000)))
    assert "more than its header" in str(refused(tmp_path, b"\x89PNG\r\n\x1a\n" + small + bomb))


@settings(max_examples=150, deadline=2000)
@given(st.data())
def test_hostile_bytes_end_in_an_error_of_ours_or_in_a_picture(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["JPEG", "PNG", "BMP"]))
    base = bytearray(saved(scene(), kind))
    for _ in range(data.draw(st.integers(1, 4))):
        base[data.draw(st.integers(0, len(base) - 1))] = data.draw(st.integers(0, 255))
    try:
        headers = read_headers(bytes(base), origin="hostile")
    except ModelprepError:
        return
    assert headers.unfit or (headers.width > 0 and headers.height > 0)


def test_a_good_picture_needs_neither_numpy_nor_pillow_and_another_says_what_it_needs(tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes(saved(scene(), "JPEG"))
    (tmp_path / "turned").write_bytes(saved(scene(), "JPEG", exif=exif(6)))
    program = f"""
import importlib.abc, importlib.util, sys
class Bare(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("numpy", "PIL"):
            raise ModuleNotFoundError(name, name=name)
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *a: None if name in ("numpy", "PIL") else real(name, *a)
sys.meta_path.insert(0, Bare())
from pathlib import Path
from modelprep.errors import MissingTool
from modelprep.steps import Call, find
folder = Path({str(tmp_path)!r})
find("picture").run(Call({{"file": folder / "good"}}, folder / "out"))
assert (folder / "out").read_bytes() == (folder / "good").read_bytes()
try:
    find("picture").run(Call({{"file": folder / "turned"}}, folder / "out2"))
except MissingTool as error:
    assert "orientation 6" in str(error)
else:
    raise SystemExit("converted without numpy?")
assert not (folder / "out2").exists()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_arms_own_pictures_go_through_byte_for_byte(tmp_path: Path, upstream: Path) -> None:
    pictures = [path for path in upstream.rglob("*") if path.name in ("Dog.jpg", "Cat.jpg", "shark.jpg")]
    assert pictures
    for path in pictures:
        data = path.read_bytes()
        assert run(tmp_path, data)[0] == data
