"""What the tests feed their networks: against stb, and against values worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from modelprep.check.board import preprocess
from modelprep.check.board.preprocess import Preprocessing, Quantisation
from modelprep.errors import StepError
from modelprep.formats.picture import resize

if TYPE_CHECKING:
    from conftest import Stb

np = pytest.importorskip("numpy", reason="preprocessing needs the check extra (numpy)")


@pytest.mark.parametrize("shape", [(10, 10, 3), (227, 227, 3), (5, 300, 1), (1, 1, 3), (700, 7, 3), (333, 500, 3)])
@pytest.mark.parametrize("wanted", [(227, 227), (224, 224), (299, 299), (448, 448)])
def test_the_resize_has_stbs_pixels(stb: Stb, shape: tuple[int, int, int], wanted: tuple[int, int]) -> None:
    picture = np.random.default_rng(sum(shape)).integers(0, 256, shape, dtype=np.uint8)
    assert np.array_equal(resize.stb(picture, *wanted), stb.resize(picture, *wanted))


def test_a_flat_picture_stays_flat_in_stbs_resize() -> None:
    for level in (0, 1, 127, 254, 255):
        assert (resize.stb(np.full((9, 31, 3), level, np.uint8), 17, 5) == level).all()


def test_the_tensorflow_resize_aligns_top_left_corners() -> None:
    # 2 -> 4 columns: source places 0, 0.5, 1, 1.5; the last pixel is repeated past the edge.
    picture = np.array([[[0], [100]], [[200], [40]]], np.uint8)
    out = resize.tensorflow(picture, 4, 4)[:, :, 0]
    assert out[0].tolist() == [0, 50, 100, 100]
    assert out[:, 0].tolist() == [0, 100, 200, 200]
    assert out[1, 1] == pytest.approx((0 + 100 + 200 + 40) / 4)


def write(path: Path, pixels: object) -> Path:
    image = pytest.importorskip("PIL.Image", reason="test pictures are written with Pillow")
    image.fromarray(np.asarray(pixels, np.uint8)).save(path)
    return path


def test_caffe_input_is_bgr_planes_less_the_mean(tmp_path: Path) -> None:
    path = write(tmp_path / "p.png", np.full((4, 4, 3), (10, 20, 30)))
    values = preprocess.prepare_picture(path, Preprocessing("caffe", 2, 2))
    assert values.shape == (1, 3, 2, 2)
    assert values[0, :, 0, 0].tolist() == pytest.approx([30 - 104.007965, 20 - 116.669472, 10 - 122.675102])


def test_caffe_input_of_the_right_size_is_resized_all_the_same(tmp_path: Path) -> None:
    # CaffePreprocessor.cpp calls Resize whatever the size; stb then smooths with Mitchell-Netravali: of a single bright
    # pixel 8/9 a side are left in its place and 1/18 on either side.
    pixels = np.zeros((5, 5, 3), np.uint8)
    pixels[2, 2] = 162
    values = preprocess.prepare_picture(write(tmp_path / "p.png", pixels), Preprocessing("caffe", 5, 5))
    seen = (values[0, 0] + np.float32(104.007965)).round().astype(int)
    assert seen[1:4, 1:4].tolist() == [[1, 8, 1], [8, 128, 8], [1, 8, 1]]


def test_image_input_is_normalised_per_channel(tmp_path: Path) -> None:
    path = write(tmp_path / "p.png", np.full((3, 3, 3), (255, 0, 51)))
    how = Preprocessing("image", 2, 2, "NCHW", mean=(0.485, 0.456, 0.406), stddev=(0.229, 0.224, 0.225))
    values = preprocess.prepare_picture(path, how)
    expected = [(1 - 0.485) / 0.229, -0.456 / 0.224, (0.2 - 0.406) / 0.225]
    assert values[0, :, 1, 1].tolist() == pytest.approx(expected, rel=1e-6)


def test_19_02_feeds_a_washed_out_picture_and_19_05_the_bytes(tmp_path: Path) -> None:
    path = write(tmp_path / "p.png", np.full((3, 3, 3), (0, 128, 255)))
    own = Quantisation(0.0078125, 128)
    old = preprocess.prepare_picture(path, Preprocessing("image", 2, 2), own)
    new = preprocess.prepare_picture(path, Preprocessing("image", 2, 2, raw_bytes=True), own)
    # round(128 * b / 255) + 128: 0 -> 128, 128 -> 192 (64.25), 255 -> 256, clamped
    assert old[0, 0, 0].tolist() == [128, 192, 255]
    assert new[0, 0, 0].tolist() == [0, 128, 255]


def test_quantising_rounds_halves_away_from_zero() -> None:
    values = np.array([0.5, 1.5, -0.5, -1.5, 2.4], np.float32)
    assert preprocess.quantise(values, Quantisation(1.0, 10)).tolist() == [11, 12, 9, 8, 12]


def test_mnist_records_lie_where_the_header_ends() -> None:
    images = (
        bytes.fromhex("00000803 00000002 0000001c 0000001c".replace(" ", "")) + bytes([7]) * 784 + bytes([51]) * 784
    )
    labels = bytes.fromhex("0000080100000002") + bytes([3, 9])
    values, label = preprocess.mnist_record(images, labels, 1, Preprocessing("mnist", scale=True))
    assert label == 9
    assert values.shape == (784,)
    assert values[0] == np.float32(0.2)
    with pytest.raises(StepError, match="no record 2"):
        preprocess.mnist_record(images, labels, 2, Preprocessing("mnist"))
    with pytest.raises(StepError) as caught:
        preprocess.mnist_record(b"\x1f\x8b" + images, labels, 0, Preprocessing("mnist"))
    assert caught.value.looks_like == "a file that is still gzipped"


def test_cifar_records_are_planes_or_interleaved() -> None:
    data = bytes(3073) + bytes([6]) + bytes([1]) * 1024 + bytes([2]) * 1024 + bytes([3]) * 1024
    planes, label = preprocess.cifar10_record(data, 1, Preprocessing("cifar10", layout="NCHW"))
    pixels, _ = preprocess.cifar10_record(data, 1, Preprocessing("cifar10"))
    assert label == 6
    assert planes.shape == (1, 3, 32, 32)
    assert planes[0, :, 5, 5].tolist() == [1, 2, 3]
    assert pixels.shape == (1, 32, 32, 3)
    assert pixels[0, 5, 5].tolist() == [1, 2, 3]
