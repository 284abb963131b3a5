"""JPEG, PNG and BMP come out as stb_image gives them."""

from __future__ import annotations

import contextlib
import io
import struct
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelprep.errors import MissingTool, StepError
from modelprep.formats import jpeg
from modelprep.formats.picture import decode

if TYPE_CHECKING:
    from conftest import Stb, Tree

np = pytest.importorskip("numpy", reason="pictures need the check extra (numpy)")
Image = pytest.importorskip("PIL.Image", reason="test pictures are written with Pillow, of the check extra")


def encoded(size: tuple[int, int], mode: str = "RGB", seed: int = 0, **options: Any) -> bytes:
    """A JPEG of smooth colour with noise on top, so that every coefficient occurs."""
    rng = np.random.default_rng(seed)
    width, height = size
    ramp = np.linspace(0, 200, width)[None, :, None] + np.linspace(0, 50, height)[:, None, None]
    pixels = np.clip(ramp + rng.integers(0, 60, (height, width, 3)), 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(out, "JPEG", **options)
    return out.getvalue()


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (8, 8), (17, 9), (16, 33), (100, 75)])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_has_stbs_pixels(
    stb: Stb, size: tuple[int, int], progressive: bool, subsampling: str, mode: str
) -> None:
    data = encoded(size, mode, progressive=progressive, subsampling=subsampling, quality=85)
    theirs = stb.decode(data)
    ours = jpeg.decode(data)
    assert theirs is not None
    assert ours.shape == theirs.shape
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("progressive", [False, True])
def test_restart_markers_are_honoured(stb: Stb, progressive: bool) -> None:
    data = encoded((70, 50), progressive=progressive, restart_marker_blocks=3)
    assert b"\xff\xd3" in data
    assert np.array_equal(jpeg.decode(data), stb.decode(data))


@pytest.mark.slow
def test_the_real_pictures_have_stbs_pixels(stb: Stb, upstream: Path) -> None:
    found = sorted(p for p in upstream.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg"))
    assert found
    for path in found:
        assert np.array_equal(jpeg.decode(path.read_bytes()), stb.decode(path.read_bytes())), path.name


def test_png_and_bmp_have_stbs_pixels(stb: Stb) -> None:
    rng = np.random.default_rng(5)
    pixels = rng.integers(0, 256, (9, 13, 3), dtype=np.uint8)
    for kind, mode in (("PNG", "RGB"), ("PNG", "RGBA"), ("PNG", "L"), ("PNG", "LA"), ("PNG", "P"), ("BMP", "RGB")):
        out = io.BytesIO()
        Image.fromarray(pixels).convert(mode).save(out, kind)
        assert np.array_equal(decode.decode(out.getvalue(), origin="x").pixels, stb.decode(out.getvalue())), (
            kind,
            mode,
        )


def test_a_grey_jpeg_without_stb_keeps_its_levels() -> None:
    # Independent of the oracle: flat blocks of one level survive JPEG at quality 100 exactly.
    pixels = np.repeat(np.repeat(np.array([[10, 200], [90, 255]], np.uint8), 8, 0), 8, 1)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=100)
    assert np.array_equal(jpeg.decode(out.getvalue())[:, :, 0], pixels)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_cut_anywhere_before_its_last_rows_is_an_error(progressive: bool) -> None:
    data = encoded((64, 64), progressive=progressive, quality=95)
    for length in range(2, len(data) * 3 // 4, 97):
        with pytest.raises(StepError):
            jpeg.decode(data[:length])


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_jpeg_never_ends_in_anything_but_a_step_error(data: st.DataObject) -> None:
    good = bytearray(encoded((24, 17), seed=3, progressive=data.draw(st.booleans())))
    for _ in range(data.draw(st.integers(1, 8))):
        good[data.draw(st.integers(2, len(good) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(StepError):
        jpeg.decode(bytes(good))


def test_a_huge_size_in_the_header_is_refused_before_memory_is_taken() -> None:
    data = bytearray(encoded((8, 8)))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", 65535, 65535)
    with pytest.raises(StepError, match="too large"):
        jpeg.decode(bytes(data))


def test_other_kinds_are_named() -> None:
    for data, kind in ((b"RIFF" + bytes(20), "webp"), (b"<html>", "3c 68"), (b"II*\0" + bytes(20), "tiff")):
        with pytest.raises(StepError) as caught:
            decode.decode(data, origin="shark.jpg")
        assert kind in str(caught.value)


def test_a_rotated_picture_is_read_unturned_and_said_so() -> None:
    image = Image.new("RGB", (20, 10), (200, 30, 30))
    exif = Image.Exif()
    exif[274] = 6
    out = io.BytesIO()
    image.save(out, "JPEG", exif=exif)
    read = decode.decode(out.getvalue(), origin="x.jpg")
    assert read.pixels.shape == (10, 20, 3)
    assert any("EXIF" in w for w in read.warnings)


def test_a_grey_picture_gives_red_only() -> None:
    out = io.BytesIO()
    Image.new("L", (4, 4), 77).save(out, "PNG")
    read = decode.decode(out.getvalue(), origin="x.png")
    assert read.three_channels()[0, 0].tolist() == [77, 0, 0]
    assert any("grey" in w for w in read.warnings)


# -- GIF, PNM, TGA and PNG with wrong checksums ------------------------------------------------------------------------


@cache
def other_kinds() -> dict[str, bytes]:
    rng = np.random.default_rng(5)
    rgb = Image.fromarray(rng.integers(0, 256, (9, 13, 3), np.uint8))
    alpha = Image.fromarray(rng.integers(0, 256, (9, 13, 4), np.uint8))
    grey, few = rgb.convert("L"), rgb.quantize(17)

    def saved(image: Any, kind: str, **options: Any) -> bytes:
        out = io.BytesIO()
        image.save(out, kind, **options)
        return out.getvalue()

    def changed(data: bytes, at: int, value: int) -> bytes:
        return data[:at] + bytes([value]) + data[at + 1 :]

    gif, ppm, tga = saved(few, "GIF"), saved(rgb, "PPM"), saved(rgb, "TGA")
    inner = bytearray(gif)
    at = inner.index(b"\x2c", 13 + (3 << (gif[10] & 7) + 1))
    inner[6:10] = struct.pack("<HH", 20, 15)
    inner[at + 1 : at + 5] = struct.pack("<HH", 4, 3)
    sixteen = rng.integers(0, 256, 9 * 13 * 2, np.uint8).tobytes()
    png = saved(rgb, "PNG")
    return {
        "gif": gif,
        "gif, transparent": saved(few, "GIF", transparency=3),
        "gif, interlaced": saved(few, "GIF", interlace=True),
        "gif, grey": saved(grey, "GIF"),
        "gif, two pictures": saved(few, "GIF", save_all=True, append_images=[rgb.rotate(90).quantize(9)]),
        "gif, smaller than its canvas": bytes(inner),
        "gif, smaller, with a background": changed(bytes(inner), 11, 2),
        "gif, cut short": gif[:-20],
        "ppm": ppm,
        "pgm": saved(grey, "PPM"),
        "ppm, comments": b"P6 # a\n#b\n13\t9 # c\n255\n" + ppm[-9 * 13 * 3 :],
        "ppm, highest value 7": b"P6 13 9 7 " + ppm[-9 * 13 * 3 :],
        "pgm of 16 bits": b"P5 13 9 65535 " + sixteen,
        "tga": tga,
        "tga, packed": saved(rgb, "TGA", compression="tga_rle"),
        "tga, grey": saved(grey, "TGA"),
        "tga, alpha": saved(alpha, "TGA"),
        "tga, alpha, packed": saved(alpha, "TGA", compression="tga_rle"),
        "tga, colour map": saved(few, "TGA"),
        "tga, colour map, packed": saved(few, "TGA", compression="tga_rle"),
        "tga, from the top": changed(tga, 17, tga[17] ^ 0x20),
        "tga of 16 bits": struct.pack("<BBBHHBHHHHBB", 0, 0, 2, 0, 0, 0, 0, 0, 13, 9, 16, 0) + sixteen,
        "tga of grey and alpha": struct.pack("<BBBHHBHHHHBB", 0, 0, 3, 0, 0, 0, 0, 0, 13, 9, 16, 0) + sixteen,
        "png, checksum of the header": changed(png, 8 + 8 + 13, png[29] ^ 1),
        "png, checksum of the data": changed(png, len(png) - 13, png[-13] ^ 1),
        "png, checksum of the packed data": changed(png, len(png) - 17, png[-17] ^ 1),
    }


@pytest.mark.parametrize("kind", other_kinds())
def test_other_kinds_come_out_as_stb_gives_them(kind: str, stb: Stb) -> None:
    data = other_kinds()[kind]
    expected = stb.decode(data)
    assert expected is not None
    found = decode.decode(data, origin=kind).pixels
    assert found.shape == expected.shape
    assert (found == expected).all()


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(other_kinds())), st.data())
def test_what_stb_refuses_is_refused_and_nothing_else_happens(stb: Stb, kind: str, data: st.DataObject) -> None:
    content = bytearray(other_kinds()[kind])
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, min(40, len(content) - 1)))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(20, len(content)))]
    with contextlib.suppress(StepError):
        decode.decode(bytes(content), origin=kind)


def test_a_picture_that_only_the_board_reads_is_not_called_broken() -> None:
    with pytest.raises(MissingTool) as caught:
        decode.decode(b"8BPS" + bytes(40), origin="Dog.jpg")
    assert caught.value.exit_code == 7


def test_a_search_decodes_exactly_only_what_may_pass(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelprep.check.demos import find_pictures
    from modelprep.targets.armnn_tests import of_version

    pytest.importorskip("ai_edge_litert", reason="the search runs the model")
    exact: list[str] = []
    exactly = jpeg.decode

    def counted(data: bytes, *, origin: str = "", **rest: Any) -> Any:
        exact.append(Path(origin).name)
        return exactly(data, origin=origin, **rest)

    monkeypatch.setattr(jpeg, "decode", counted)
    dog, other = tree.data / "Dog.jpg", tmp_path / "grey.jpg"
    Image.new("RGB", (300, 200), (128, 128, 128)).save(other)
    test = of_version()["TfLiteMobilenetQuantized-Armnn"]
    found = dict(find_pictures(test, tree.path("mobilenet_v1_1.0_224_quant.tflite"), [dog, other]))
    assert [case.passes for case in found[dog]] == [True, False, False]
    assert not any(case.passes for case in found[other])
    assert exact == ["Dog.jpg"]
