"""Calibration inputs: chosen by seed and name alone, prepared as declared; what does not fit is told."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest

from modelprep.errors import RecipeError, StepError
from modelprep.steps import _calibration
from modelprep.steps._calibration import Input, fitted
from modelprep.steps.picture import bmp

np = pytest.importorskip("numpy", reason="calibration inputs are arrays: the check extra")
pytest.importorskip("PIL", reason="BMP pictures are read by Pillow, of the check extra")


def picture(path: Path, seed: int = 0, height: int = 6, width: int = 4) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    path.write_bytes(bmp(pixels))
    return path


def taken(
    tmp_path: Path, files: dict[str, Path], warned: list[str] | None = None, **params: object
) -> _calibration.Samples:
    defaults = {name: param.default for name, param in _calibration.PARAMS.items()}
    told = (warned if warned is not None else []).append
    found = _calibration.samples({**defaults, "calibration": files, **params}, tmp_path, told)
    assert found is not None
    return found


@pytest.fixture
def pictures(tmp_path: Path) -> dict[str, Path]:
    return {f"{n}.bmp": picture(tmp_path / f"blob{n}", n) for n in range(8)}


def test_no_calibration_set_is_none(tmp_path: Path) -> None:
    assert _calibration.samples({}, tmp_path, print) is None


def test_seed_and_names_decide_which_inputs_are_taken_whatever_the_order_of_the_mapping(
    tmp_path: Path, pictures: dict[str, Path]
) -> None:
    first = taken(tmp_path, pictures, samples=4)
    again = taken(tmp_path, dict(reversed(pictures.items())), samples=4)
    other = taken(tmp_path, pictures, samples=4, seed=1)
    assert first.names == again.names
    assert np.array_equal(first.arrays[""], again.arrays[""])
    assert len(first.names) == 4
    assert other.names != first.names


def test_an_archive_of_pictures_gives_the_same_inputs_as_its_files(tmp_path: Path, pictures: dict[str, Path]) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("readme.txt", "no picture")
        for name, path in pictures.items():
            archive.writestr(f"set/{name}", path.read_bytes())
    (tmp_path / "set.zip").write_bytes(packed.getvalue())
    found = taken(tmp_path, {"set": tmp_path / "set.zip"})
    loose = taken(tmp_path, {f"set/set/{name}": path for name, path in pictures.items()})
    assert found.names == loose.names
    assert np.array_equal(found.arrays[""], loose.arrays[""])


def test_a_picture_is_resized_and_scaled_as_declared(tmp_path: Path) -> None:
    path = picture(tmp_path / "one")
    plain = taken(tmp_path, {"one": path}).arrays[""]
    assert plain.shape == (1, 6, 4, 3)
    how = {"mean": [10, 20, 30], "scale": 0.5, "channels": "bgr", "layout": "nchw"}
    made = taken(tmp_path, {"one": path}, preprocess=how).arrays[""]
    expected = (plain[0][:, :, ::-1] - np.array([10, 20, 30])) * 0.5
    assert np.allclose(made[0], expected.transpose(2, 0, 1))
    assert taken(tmp_path, {"one": path}, preprocess={"size": [3, 5]}).arrays[""].shape == (1, 3, 5, 3)
    grey = taken(tmp_path, {"one": path}, preprocess={"channels": "grey", "size": 6}).arrays[""]
    assert grey.shape == (1, 6, 6, 1)


def test_records_of_an_idx_file_and_arrays_are_inputs(tmp_path: Path) -> None:
    records = np.arange(2 * 3 * 4, dtype=np.uint8)
    (tmp_path / "idx").write_bytes(struct.pack(">IIII", 0x0803, 2, 3, 4) + records.tobytes())
    found = taken(tmp_path, {"idx": tmp_path / "idx"}, preprocess={"channels": "grey"})
    assert sorted(found.names) == ["idx#0", "idx#1"]
    assert np.array_equal(found.arrays[""][found.names.index("idx#1")].ravel(), records[12:])
    np.save(tmp_path / "array.npy", np.ones((2, 5)))
    assert taken(tmp_path, {"a": tmp_path / "array.npy"}).arrays[""].shape == (1, 2, 5)


def test_an_npz_file_holds_samples_of_several_inputs(tmp_path: Path) -> None:
    np.savez(tmp_path / "blob", a=np.arange(6).reshape(3, 2), b=np.ones((3, 1, 4), np.uint8))
    found = taken(tmp_path, {"set.NPZ": tmp_path / "blob.npz"}, samples=2)
    assert set(found.names) < {"set.NPZ#0", "set.NPZ#1", "set.NPZ#2"}
    assert found.arrays["a"].shape == (2, 2)
    inputs = [Input("b", (1, 4), "uint8"), Input("a", (1, 2), "float32")]
    fed = fitted(found.arrays, inputs, "m")
    assert [(each.shape, each.dtype) for each in fed] == [((2, 1, 4), np.uint8), ((2, 1, 2), np.float32)]
    with pytest.raises(StepError, match="other inputs"):
        fitted(found.arrays, inputs[:1], "m")
    with pytest.raises(StepError, match="takes uint8"):
        fitted({"": np.full((1, 4), np.nan)}, inputs[:1], "m")


def test_arrays_without_names_are_taken_in_their_order(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", np.zeros((1, 2)), np.ones((1, 3)))
    found = taken(tmp_path, {"x.npz": tmp_path / "x.npz"})
    first, second = fitted(found.arrays, [Input("p", (1, 2), "int8"), Input("q", (3,), "int32")], "m")
    assert (first.max(), second.min(), second.shape) == (0, 1, (1, 3))


@pytest.mark.parametrize(
    "arrays", [{}, {"a": np.ones(())}, {"a": np.ones(3), "b": np.ones(4)}, {"a": np.array(["x"])}]
)  # fmt: skip
def test_an_npz_file_without_samples_is_told(tmp_path: Path, arrays: dict[str, Any]) -> None:
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(StepError):
        taken(tmp_path, {"x.npz": tmp_path / "x.npz"})
    (tmp_path / "half.npz").write_bytes((tmp_path / "x.npz").read_bytes()[:-9])
    with pytest.raises(StepError):
        taken(tmp_path, {"half.npz": tmp_path / "half.npz"})


@pytest.mark.parametrize(
    "how",
    [{"sizes": [1, 1]}, {"size": [0, 4]}, {"size": "4"}, {"mean": [1, 2]}, {"mean": "x"}, {"scale": [True]},
     {"channels": "rgba"}, {"resize": "cubic"}, {"layout": "hwc"}, {"channels": "grey", "mean": [1, 2, 3]}],
)  # fmt: skip
def test_a_declaration_that_makes_no_sense_is_refused(tmp_path: Path, how: dict[str, Any]) -> None:
    with pytest.raises(RecipeError):
        taken(tmp_path, {"one": picture(tmp_path / "one")}, preprocess=how)


def test_pictures_without_a_declaration_are_a_warning_and_arrays_are_none(tmp_path: Path) -> None:
    warned: list[str] = []
    taken(tmp_path, {"one": picture(tmp_path / "one")}, warned)
    assert "no preprocess" in warned[0]
    np.save(tmp_path / "a.npy", np.ones(3))
    taken(tmp_path, {"a": tmp_path / "a.npy"}, warned)
    taken(tmp_path, {"one": tmp_path / "one"}, warned, preprocess={"scale": 1.0})
    assert len(warned) == 1


def test_a_number_of_samples_below_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="at least 1"):
        taken(tmp_path, {"one": picture(tmp_path / "one")}, samples=0)


def object_array(path: Path) -> None:
    np.save(path, np.array([{}], object), allow_pickle=True)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_bytes(b"<html>"),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\x93NUMPY\x01\x00"),
        object_array,
        lambda path: np.save(path, np.array(["a"])),
        lambda path: path.write_bytes(struct.pack(">IIII", 0x0803, 9, 99, 99)),
    ],
)
def test_a_file_that_is_no_input_is_told(tmp_path: Path, write: Any) -> None:
    write(tmp_path / "bad.npy")
    with pytest.raises(StepError):
        taken(tmp_path, {"bad": tmp_path / "bad.npy"})


def test_inputs_of_different_shapes_are_told_with_what_to_declare(tmp_path: Path) -> None:
    files = {"a": picture(tmp_path / "a"), "b": picture(tmp_path / "b", 1, 5, 5)}
    with pytest.raises(StepError, match="different shapes") as caught:
        taken(tmp_path, files)
    assert "size" in str(caught.value.hint)
    assert taken(tmp_path, files, preprocess={"size": [4, 4]}).arrays[""].shape == (2, 4, 4, 3)
