"""The steps unpack, gunzip, idx.check and copy, called as the pipeline calls them."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile

import pytest

from modelprep import steps
from modelprep.errors import RecipeError, StepError, StorageError
from modelprep.formats import output as output_module


@pytest.fixture
def call(tmp_path):
    """Run a step on parameters, defaults filled in; gives (facts, output, warnings)."""
    number = iter(range(1000))

    def run(name, **params):
        step = steps.find(name)
        target = tmp_path / f"out{next(number)}"
        if step.produces == "folder":
            target.mkdir()
        filled = {key: params.get(key, param.default) for key, param in step.params.items()}
        assert set(params) <= set(step.params)
        warnings = []
        seen = []
        facts = step.run(steps.Call(filled, target, lambda *p: seen.append(p), warnings.append))
        return facts, target, warnings

    return run


@pytest.fixture
def put(tmp_path):
    def write(data, name="blob"):
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return write


def left_of(tmp_path):
    return sorted(p.name for p in tmp_path.rglob("*") if p.is_file() and not p.name.startswith("blob"))


def images(count=3, rows=28, columns=28, magic=0x0803):
    return struct.pack(">IIII", magic, count, rows, columns) + bytes(count * rows * columns)


def labels(*values, magic=0x0801):
    return struct.pack(">II", magic, len(values)) + bytes(values)


def archive():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, data in {"./m/net.onnx": b"net", "./m/in.pb": b"in", "other": b"o"}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def test_the_steps_are_found_by_name_and_document_every_parameter():
    for name in ("unpack", "gunzip", "idx.check", "copy"):
        step = steps.find(name)
        assert step.summary
        assert all(param.doc for param in step.params.values())
        assert step.extras({}) == ()


def test_unpack_takes_a_list_of_members_as_they_are_called(call, put):
    facts, out, _ = call("unpack", archive=put(archive()), members=["m/net.onnx", "m/in.pb"])
    assert {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()} == {
        "m/net.onnx": b"net",
        "m/in.pb": b"in",
    }
    assert facts == {"archive": "tar", "members": {"m/net.onnx": 3, "m/in.pb": 2}}


def test_unpack_renames_what_a_mapping_says(call, put):
    facts, out, _ = call("unpack", archive=put(archive()), members={"m/net.onnx": "model.onnx", "other": "sub/o"})
    assert (out / "model.onnx").read_bytes() == b"net"
    assert (out / "sub/o").read_bytes() == b"o"
    assert facts["members"] == {"model.onnx": 3, "sub/o": 1}


@pytest.mark.parametrize(
    "members",
    [
        None, [], {}, "m/net.onnx", 3, [3], {"a": 1}, ["../x"], {"m/net.onnx": "../x"}, {"m/net.onnx": "/etc/x"},
        {"m/net.onnx": ""}, ["m/in.pb", "m/in.pb"], {"m/net.onnx": "a", "other": "a"},
        {"m/net.onnx": "a", "other": "a/b"},
    ],
)  # fmt: skip
def test_unpack_refuses_members_that_make_no_sense(members, call, put, tmp_path):
    with pytest.raises(RecipeError):
        call("unpack", archive=put(archive()), members=members)
    assert left_of(tmp_path) == []


def test_unpack_leaves_nothing_when_a_member_is_missing(call, put, tmp_path):
    with pytest.raises(StepError, match=r"no file 'm/net\.onx'") as caught:
        call("unpack", archive=put(archive()), members=["other", "m/net.onx"])
    assert "did you mean m/net.onnx, " in caught.value.hint
    assert left_of(tmp_path) == []


def test_unpack_keeps_to_its_limit(call, put):
    with pytest.raises(StepError, match="larger than allowed"):
        call("unpack", archive=put(archive()), members=["m/net.onnx"], max_bytes=2)


def test_gunzip_unpacks_all_members_of_a_gzip(call, put):
    facts, out, _ = call("gunzip", file=put(gzip.compress(b"one ") + gzip.compress(b"two") + bytes(512)))
    assert out.read_bytes() == b"one two"
    assert (facts["bytes"], facts["members"]) == (7, 2)


def test_gunzip_never_makes_a_shorter_file_of_a_truncated_one(call, put, tmp_path):
    whole = gzip.compress(bytes(range(256)) * 40)
    for cut in [*range(0, len(whole), 7), len(whole) - 8, len(whole) - 1]:
        with pytest.raises(StepError) as caught:
            call("gunzip", file=put(whole[:cut]))
        assert caught.value.where
    assert left_of(tmp_path) == []


def test_gunzip_tells_a_wrong_checksum_from_a_good_one(call, put):
    whole = bytearray(gzip.compress(b"data"))
    whole[-6] ^= 1
    with pytest.raises(StepError, match="damaged"):
        call("gunzip", file=put(bytes(whole)))


def test_gunzip_refuses_what_follows_the_data(call, put, tmp_path):
    with pytest.raises(StepError, match="foreign bytes"):
        call("gunzip", file=put(gzip.compress(b"data") + b"garbage"))
    assert left_of(tmp_path) == []


def test_gunzip_says_that_a_plain_file_is_none(call, put):
    with pytest.raises(StepError, match="not a gzip file") as caught:
        call("gunzip", file=put(images()))
    assert "an idx file" in caught.value.looks_like
    assert "`copy`" in caught.value.hint


def test_gunzip_stops_at_its_limit_and_at_a_bomb(call, put, tmp_path):
    with pytest.raises(StepError, match="larger than allowed"):
        call("gunzip", file=put(gzip.compress(b"12345")), max_bytes=4)
    assert call("gunzip", file=put(gzip.compress(b"1234")), max_bytes=4)[1].read_bytes() == b"1234"
    (tmp_path / "out1").unlink()
    with pytest.raises(StepError, match="beyond reason"):
        call("gunzip", file=put(gzip.compress(bytes(70 << 20))))
    assert left_of(tmp_path) == []


def test_gunzip_without_a_file_is_a_storage_error(call, tmp_path):
    with pytest.raises(StorageError):
        call("gunzip", file=tmp_path / "nothing")


def test_idx_check_gives_the_very_bytes_and_the_facts(call, put):
    pictures, marks = put(images(), "blob1"), put(labels(7, 2, 7), "blob2")
    facts, out, warnings = call("idx.check", images=pictures, labels=marks)
    assert (out / "images").read_bytes() == images()
    assert (out / "labels").read_bytes() == labels(7, 2, 7)
    assert facts == {
        "count": 3, "rows": 28, "columns": 28, "labels": {"2": 1, "7": 2}, "first_labels": [7, 2, 7],
    }  # fmt: skip
    assert warnings == []


def test_idx_check_does_without_labels_and_warns_of_other_sizes(call, put):
    facts, out, warnings = call("idx.check", images=put(images(2, 32, 30)))
    assert [p.name for p in out.iterdir()] == ["images"]
    assert (facts["rows"], facts["columns"]) == (32, 30)
    assert "30x32" in warnings[0]


@pytest.mark.parametrize(
    ("pictures", "marks", "says"),
    [
        (labels(1, 2, 3), images(), "swapped"),
        (images(), images(), "swapped"),
        (images(), labels(1, 2), "numbers of labels and pictures differ"),
        (images(), labels(1, 2, 10), "out of range"),
        (images(0), labels(), "no pictures"),
        (images(magic=0x0D03), labels(1, 2, 3), "truncated"),
        (images()[:-1], labels(1, 2, 3), "truncated"),
        (images() + b"\0", labels(1, 2, 3), "longer than"),
        (gzip.compress(images(), mtime=0), labels(1, 2, 3), "`gunzip`"),
        (images(), b"<html>403</html>", "web page"),
        (images(), struct.pack("<II", 0x0801, 3) + b"\1\2\3", "little-endian"),
    ],
)
def test_idx_check_says_what_is_wrong(pictures, marks, says, call, put):
    with pytest.raises(StepError) as caught:
        call("idx.check", images=put(pictures, "blob1"), labels=put(marks, "blob2"))
    assert says in str(caught.value)


def test_idx_check_names_the_record_that_is_out_of_range(call, put):
    marks = [0] * 2000
    marks[1500] = 26
    with pytest.raises(StepError) as caught:
        call("idx.check", images=put(images(2000, 1, 1), "blob1"), labels=put(labels(*marks[:2000]), "blob2"))
    assert "record 1500 (byte 1508)" in caught.value.where
    facts, _, _ = call(
        "idx.check", images=put(images(2000, 1, 1), "blob1"), labels=put(labels(*marks), "blob2"), classes=27
    )
    assert facts["labels"] == {"0": 1999, "26": 1}


def test_copy_gives_the_same_bytes(call, put):
    data = bytes(range(256)) * 5000
    facts, out, _ = call("copy", file=put(data))
    assert out.read_bytes() == data
    assert facts == {"bytes": len(data)}
    assert call("copy", file=put(b""))[1].read_bytes() == b""


def test_copy_works_where_the_kernel_cannot(call, put, monkeypatch):
    def refuse(*_):
        import errno

        raise OSError(errno.EXDEV, "other file system")

    monkeypatch.setattr(output_module.os, "copy_file_range", refuse, raising=False)
    assert call("copy", file=put(b"data" * 1000))[1].read_bytes() == b"data" * 1000


def test_copy_to_and_from_where_it_cannot_is_a_storage_error(put, tmp_path):
    with pytest.raises(StorageError, match="cannot be read"):
        output_module.copy(tmp_path / "nothing", tmp_path / "out")
    with pytest.raises(StorageError, match="cannot be written"):
        output_module.copy(put(b"1"), tmp_path / "no-folder" / "out")
    assert left_of(tmp_path) == []


def test_writing_keeps_the_old_file_until_the_new_one_is_complete(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail_half_way():
        with output_module.writing(path) as write:
            write(b"new, but only ha")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_half_way()
    assert path.read_bytes() == b"old"
    with output_module.writing(path) as write:
        write(b"new")
    assert path.read_bytes() == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
