"""Archives: named members out of good ones, one clear error out of bad ones."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelprep.errors import ModelprepError, StepError, StorageError
from modelprep.formats.archive import decompress
from modelprep.formats.archive import members as archive
from modelprep.formats.archive import tar as tarstream
from modelprep.formats.archive import zip as zipstream
from modelprep.formats.archive.decompress import Reader

FILES = {"model/net.onnx": os.urandom(3000), "model/labels.txt": b"cat\ndog\n", "empty": b"", "top": b"x" * 512}


def tar_bytes(files=FILES, *, kind=tarfile.USTAR_FORMAT, prefix="", extra=()):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(prefix + name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        for entry, data in extra:
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def zip_bytes(files=FILES, method=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as zipped:
        for name, data in files.items():
            zipped.writestr(name, data)
    return out.getvalue()


PACKERS = {
    "tar": tar_bytes,
    "tar.gz": lambda f=FILES: gzip.compress(tar_bytes(f), mtime=0),
    "tar.bz2": lambda f=FILES: bz2.compress(tar_bytes(f)),
    "tar.xz": lambda f=FILES: lzma.compress(tar_bytes(f)),
    "gnu tar": lambda f=FILES: tar_bytes(f, kind=tarfile.GNU_FORMAT),
    "pax tar": lambda f=FILES: tar_bytes(f, kind=tarfile.PAX_FORMAT),
    "zip": zip_bytes,
    "stored zip": lambda f=FILES: zip_bytes(f, zipfile.ZIP_STORED),
    "bzip2 zip": lambda f=FILES: zip_bytes(f, zipfile.ZIP_BZIP2),
    "lzma zip": lambda f=FILES: zip_bytes(f, zipfile.ZIP_LZMA),
}


@pytest.fixture
def put(tmp_path):
    def write(data: bytes, name: str = "blob") -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


def caught_by(act, path) -> ModelprepError | None:
    """The error of ours that something ends with; any other exception fails the test."""
    try:
        act(path)
    except ModelprepError as error:
        return error
    return None


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"blob"}


@pytest.mark.parametrize("kind", PACKERS)
def test_members_and_their_bytes_come_out_of_every_kind(kind, put, tmp_path):
    path = put(PACKERS[kind]())
    assert archive.members(path) == [(name, len(data)) for name, data in FILES.items()]
    wanted = {name: tmp_path / f"out{i}" for i, name in enumerate(FILES)}
    assert archive.extract_members(path, wanted) == {name: len(data) for name, data in FILES.items()}
    assert {name: out.read_bytes() for name, out in wanted.items()} == FILES
    assert archive.extract_member(path, "./model//labels.txt", tmp_path / "again") == 8


@pytest.mark.parametrize("kind", PACKERS)
def test_the_kind_is_found_from_the_content(kind, put):
    assert archive.kind_of(put(PACKERS[kind](), "misleading.txt")) == ("zip" if "zip" in kind else "tar")


def test_names_written_with_a_dot_slash_or_backslashes_are_the_same_name(put, tmp_path):
    path = put(tar_bytes({"./a/b.tflite": b"1", "c\\d.bin": b"22"}))
    assert archive.members(path) == [("a/b.tflite", 1), ("c/d.bin", 2)]
    assert archive.extract_member(path, "c/d.bin", tmp_path / "out") == 2


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/passwd", "C:\\x", "..", ".", "", "a\0b", "..\\x", "\\x"])
def test_a_name_that_leads_out_is_refused_and_never_matched(name, put, tmp_path):
    files = {"fine": b"1"}
    data = tar_bytes(files) if "\0" in name or not name else tar_bytes({**files, name: b"evil"})
    path = put(data)
    assert archive.members(path) == [("fine", 1)]
    with pytest.raises(StepError, match="cannot be the name"):
        archive.extract_member(path, name, tmp_path / "out")
    assert left(tmp_path) == set()


def special(name, kind, link=""):
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, link
    return entry


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (tarfile.SYMTYPE, "a symbolic link to '/etc/passwd'"),
        (tarfile.LNKTYPE, "a hard link to '/etc/passwd'"),
        (tarfile.CHRTYPE, "a character device"),
        (tarfile.BLKTYPE, "a block device"),
        (tarfile.FIFOTYPE, "a FIFO"),
        (tarfile.DIRTYPE, "a folder"),
        (b"Q", "a member of an unknown type"),
    ],
)
def test_what_is_no_regular_file_is_said_and_never_taken(kind, says, put, tmp_path):
    path = put(gzip.compress(tar_bytes(extra=[(special("net", kind, "/etc/passwd"), b"")])))
    with pytest.raises(StepError, match="not a regular file") as caught:
        archive.extract_member(path, "net", tmp_path / "out")
    assert says in caught.value.got
    assert ("net", 0) not in archive.members(path)
    assert left(tmp_path) == set()


def test_a_member_below_a_linked_folder_is_not_reached(put, tmp_path):
    path = put(tar_bytes(extra=[(special("here", tarfile.SYMTYPE, "/etc"), b"")]))
    with pytest.raises(StepError, match="there is no file 'here/passwd'"):
        archive.extract_member(path, "here/passwd", tmp_path / "out")


@pytest.mark.parametrize("kind", ["symbolic link", "folder", "FIFO"])
def test_what_is_no_regular_file_in_a_zip_is_said_and_never_taken(kind, put, tmp_path):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as zipped:
        info = zipfile.ZipInfo("net")
        info.create_system = 3
        mode = {"symbolic link": stat.S_IFLNK, "folder": stat.S_IFDIR, "FIFO": stat.S_IFIFO}[kind]
        info.external_attr = (mode | 0o777) << 16
        zipped.writestr(info, "/etc/passwd")
    with pytest.raises(StepError, match="not a regular file") as caught:
        archive.extract_member(put(out.getvalue()), "net", tmp_path / "out")
    assert kind in caught.value.got


@pytest.mark.parametrize("pack", [tar_bytes, zip_bytes])
def test_of_two_members_of_one_name_the_last_wins(pack, put, tmp_path):
    if pack is tar_bytes:
        second = tarfile.TarInfo("./net")
        second.size = 3
        data = tar_bytes({"net": b"old old"}, extra=[(second, b"new")])
    else:
        data = zip_bytes({"net": b"old old", "./net": b"new"})
    path = put(data)
    assert archive.extract_member(path, "net", tmp_path / "out") == 3
    assert (tmp_path / "out").read_bytes() == b"new"
    assert archive.members(path) == [("net", 3)]


def test_a_file_replaced_by_a_link_further_on_is_refused(put, tmp_path):
    path = put(tar_bytes({"net": b"file"}, extra=[(special("net", tarfile.SYMTYPE, "x"), b"")]))
    with pytest.raises(StepError, match="not a regular file"):
        archive.extract_member(path, "net", tmp_path / "out")
    assert left(tmp_path) == set()


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_a_missing_member_is_named_with_what_is_there(kind, put, tmp_path):
    path = put(PACKERS[kind]())
    with pytest.raises(StepError, match=r"no file 'net\.onnx'") as caught:
        archive.extract_member(path, "net.onnx", tmp_path / "out")
    assert "did you mean model/net.onnx?" in caught.value.hint
    assert "labels.txt" in caught.value.hint


def test_when_one_of_several_is_missing_none_appears(put, tmp_path):
    path = put(PACKERS["tar.gz"]())
    with pytest.raises(StepError):
        archive.extract_members(path, {"top": tmp_path / "a", "nope": tmp_path / "b"})
    assert left(tmp_path) == set()


@pytest.mark.parametrize("kind", PACKERS)
def test_a_truncated_archive_is_an_error_wherever_it_ends(kind, put, tmp_path):
    """Every cut, block by block and around each: never a shorter file, never another exception."""
    data = PACKERS[kind]({"model/net.onnx": FILES["model/net.onnx"], "last": b"end" * 50})
    cuts = {cut for edge in range(0, len(data), 512) for cut in (edge - 1, edge, edge + 1)} | {len(data) - 1}
    for cut in sorted(cut for cut in cuts if 0 <= cut < len(data)):
        whole = "tar" in kind and kind in ("tar", "gnu tar", "pax tar")
        if whole and not data[cut:].strip(b"\0") and cut >= len(data.rstrip(b"\0")) + 512:
            continue  # within the padding of zero blocks behind the end marker: everything is there
        path = put(data[:cut])
        for act in (
            lambda path: archive.members(path),
            lambda path: archive.extract_member(path, "model/net.onnx", tmp_path / "out"),
        ):
            error = caught_by(act, path)
            if error is not None:
                assert isinstance(error, StepError)
                assert error.where
            else:
                # An uncompressed tar ends with zeros; once one whole block of them is there, all members are.
                assert whole, cut
                assert cut - cut % 512 > len(data.rstrip(b"\0")), cut
        (tmp_path / "out").unlink(missing_ok=True)
        assert left(tmp_path) == set()


@pytest.mark.parametrize("kind", ["tar.gz", "tar.bz2", "tar.xz", "zip", "stored zip"])
def test_a_flipped_byte_never_gives_a_wrong_file(kind, put, tmp_path):
    data = PACKERS[kind]()
    for at in range(0, len(data), 37):
        path = put(data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :])
        try:
            archive.extract_member(path, "model/net.onnx", tmp_path / "out")
        except ModelprepError:
            assert left(tmp_path) == set()
        else:
            assert (tmp_path / "out").read_bytes() == FILES["model/net.onnx"], at
            (tmp_path / "out").unlink()


def test_a_damaged_header_in_mid_tar_is_an_error_with_its_place(put, tmp_path):
    data = bytearray(tar_bytes({"a": b"1" * 600, "b": b"2"}))
    data[512 + 1024 + 3] ^= 0xFF  # the name in the second header
    path = put(bytes(data))
    with pytest.raises(StepError, match="checksum does not agree") as caught:
        archive.extract_member(path, "a", tmp_path / "out")
    assert "byte 1536" in caught.value.where
    assert left(tmp_path) == set()


def test_an_encrypted_zip_is_said_to_be_one(put, tmp_path):
    data = bytearray(zip_bytes({"net": b"secret"}, zipfile.ZIP_STORED))
    data[6] |= 1  # general purpose flag of the local header
    central = data.index(b"PK\x01\x02")
    data[central + 8] |= 1
    with pytest.raises(StepError, match="encrypted") as caught:
        archive.extract_member(put(bytes(data)), "net", tmp_path / "out")
    assert "--set" in caught.value.hint


def test_an_unknown_zip_method_is_said(put, tmp_path):
    data = bytearray(zip_bytes({"net": b"data"}, zipfile.ZIP_STORED))
    central = data.index(b"PK\x01\x02")
    data[8], data[central + 10] = 97, 97
    with pytest.raises(StepError, match="not supported") as caught:
        archive.extract_member(put(bytes(data)), "net", tmp_path / "out")
    assert "97" in caught.value.got


@pytest.mark.parametrize(
    ("content", "looks"),
    [
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "a Git LFS pointer"),
        (b"", "an empty file"),
        (gzip.compress(b"one file and no tar", mtime=0), "gzip-compressed data"),
        (b"7z\xbc\xaf\x27\x1c" + b"\0" * 600, "a 7z archive"),
        (b"just words\n" * 100, "text"),
    ],
)
def test_what_is_no_archive_is_named(content, looks, put, tmp_path):
    with pytest.raises(StepError, match="not an archive") as caught:
        archive.extract_member(put(content), "x", tmp_path / "out")
    assert caught.value.looks_like.startswith(looks)


def test_a_gzip_of_one_file_leads_to_the_step_gunzip(put):
    with pytest.raises(StepError) as caught:
        archive.members(put(gzip.compress(b"idx")))
    assert "`gunzip`" in caught.value.hint


def test_a_member_larger_than_allowed_is_refused_before_it_is_written(put, tmp_path):
    for kind in ("tar", "zip"):
        path = put(PACKERS[kind]())
        with pytest.raises(StepError, match="larger than allowed") as caught:
            archive.extract_member(path, "model/net.onnx", tmp_path / "out", max_bytes=2999)
        assert "3000 bytes" in caught.value.got
        assert archive.extract_member(path, "model/net.onnx", tmp_path / "out", max_bytes=3000) == 3000
        (tmp_path / "out").unlink()


def bomb(size: int) -> bytes:
    """A tar.gz with one member of `size` zeros, made piecewise."""
    import zlib

    codec = zlib.compressobj(9, wbits=31)
    entry = tarfile.TarInfo("net")
    entry.size = size
    pieces = [codec.compress(entry.tobuf())]
    zeros = bytes(1 << 20)
    pieces += [codec.compress(zeros) for _ in range(size >> 20)]
    return b"".join([*pieces, codec.compress(bytes(1024)), codec.flush()])


@pytest.mark.parametrize("wanted", ["net", "other"])
def test_a_tar_bomb_ends_early_in_little_memory(wanted, put, tmp_path):
    import tracemalloc

    path = put(bomb(400 << 20))
    tracemalloc.start()
    with pytest.raises(StepError, match="beyond reason"):
        archive.extract_member(path, wanted, tmp_path / "out")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20
    assert left(tmp_path) == set()


def test_a_zip_bomb_ends_early(put, tmp_path):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as zipped, zipped.open("net", "w", force_zip64=True) as member:
        for _ in range(200):
            member.write(bytes(1 << 20))
    with pytest.raises(StepError, match="beyond reason"):
        archive.extract_member(put(out.getvalue()), "net", tmp_path / "out")
    assert left(tmp_path) == set()


def test_a_huge_extension_header_is_not_read_into_memory(put):
    header = bytearray(tarfile.TarInfo("././@LongLink").tobuf(tarfile.GNU_FORMAT))
    header[156:157] = b"L"
    header[124:136] = b"\x80" + (1 << 40).to_bytes(11, "big")
    header[148:156] = b"%06o\0 " % (sum(header) - sum(header[148:156]) + 256)
    with pytest.raises(StepError, match="extension header is too long"):
        archive.members(put(bytes(header) + b"x" * 2048))


def header(name=b"net", size=b"%011o\0" % 4, flag=b"0", **at):
    """One raw ustar header with its checksum; `at` puts bytes at an offset (``x482=b"\\1"``)."""
    block = bytearray(512)
    block[: len(name)] = name
    block[100:108] = b"0000644\0"
    block[124:136] = size
    block[156:157] = flag
    block[257:265] = b"ustar\00000"
    for place, data in at.items():
        block[int(place[1:]) : int(place[1:]) + len(data)] = data
    block[148:156] = b"%06o\0 " % (sum(block) + 256)
    return bytes(block)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


END = bytes(1024)


@pytest.mark.parametrize(
    ("size", "fine"),
    [
        (b"%011o\0" % 4, True),
        (b"          4 ", True),
        (b"\x80" + (4).to_bytes(11, "big"), True),
        (b"\x80" + b"\xff" * 11, False),
        (b"\xff" * 12, False),
        (b"0000000009\0\0", False),
        (b"-0000000004\0", False),
        (b"garbage\0\0\0\0\0", False),
    ],
)
def test_sizes_are_read_in_octal_and_base_256_and_refused_when_they_cannot_be(size, fine, put, tmp_path):
    path = put(header(size=size) + padded(b"data") + END)
    if fine:
        assert archive.extract_member(path, "net", tmp_path / "out") == 4
    else:
        with pytest.raises(StepError, match="makes no sense") as caught:
            archive.members(path)
        assert "byte 0 of the unpacked archive" in caught.value.where


@pytest.mark.parametrize(
    "records",
    [
        b"x path=net\n",
        b"99 path=net\n",
        b"11 path=net ",
        b"9 pathnet\n",
        b"0 path=n\n",
        b"2 a=b\n",
        b"12345678901234567890123 a=b\n",
    ],
)
def test_pax_records_that_make_no_sense_are_an_error(records, put):
    path = put(header(b"pax", b"%011o\0" % len(records), b"x") + padded(records) + header() + padded(b"data") + END)
    with pytest.raises(StepError, match="makes no sense"):
        archive.members(path)


@pytest.mark.parametrize(("value", "fine"), [(b"4", True), (b"-4", False), (b"four", False), (b"9" * 19, False)])
def test_a_pax_size_goes_before_the_headers(value, fine, put, tmp_path):
    record = b" size=" + value + b"\n"
    record = b"%d" % (len(record) + len(b"%d" % (len(record) + 1))) + record
    whole = header(b"pax", b"%011o\0" % len(record), b"x") + padded(record) + header(size=b"0" * 11 + b"\0")
    path = put(whole + padded(b"data") + END)
    if fine:
        assert archive.extract_member(path, "net", tmp_path / "out") == 4
        assert (tmp_path / "out").read_bytes() == b"data"
    else:
        with pytest.raises(StepError, match="makes no sense"):
            archive.members(path)


def test_a_global_pax_header_holds_for_all_that_follow(put):
    record = b"17 comment=hello\n"
    path = put(header(b"g", b"%011o\0" % 17, b"g") + padded(record) + header() + padded(b"data") + END)
    assert archive.members(path) == [("net", 4)]


def test_an_old_gnu_sparse_file_is_stepped_over_with_its_maps(put, tmp_path):
    maps = bytes(504) + b"\1" + bytes(7) + bytes(512)
    sparse = header(b"holes", flag=b"S", x482=b"\1") + maps + padded(b"data")
    path = put(sparse + header() + padded(b"good") + END)
    assert archive.members(path) == [("net", 4)]
    with pytest.raises(StepError, match="not a regular file"):
        archive.extract_member(path, "holes", tmp_path / "out")
    with pytest.raises(StepError, match="truncated"):
        archive.members(put(header(b"holes", flag=b"S", x482=b"\1") + maps[:600]))


def test_a_ustar_prefix_is_part_of_the_name_and_a_gnu_one_is_not(put):
    ustar = header(x345=b"deep/folder")
    gnu = header(x257=b"ustar  \0", x345=b"12345670123")
    assert archive.members(put(ustar + padded(b"data") + END)) == [("deep/folder/net", 4)]
    assert archive.members(put(gnu + padded(b"data") + END)) == [("net", 4)]


def test_a_folder_of_before_posix_is_one_by_its_slash(put, tmp_path):
    path = put(header(b"net/", b"%011o\0" % 0, b"\0") + header(b"net/a") + padded(b"data") + END)
    assert archive.members(path) == [("net/a", 4)]
    with pytest.raises(StepError, match="not a regular file"):
        archive.extract_member(path, "net", tmp_path / "out")


def test_long_names_and_pax_records_are_understood(put, tmp_path):
    name = "deep/" * 60 + "é" * 30 + ".bin"
    for kind in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        path = put(tar_bytes({name: b"data"}, kind=kind))
        assert archive.members(path) == [(name, 4)]
        assert archive.extract_member(path, name, tmp_path / "out") == 4


def test_a_sparse_member_is_refused(put, tmp_path):
    entry = tarfile.TarInfo("net")
    entry.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "99999"}
    path = put(tar_bytes({}, kind=tarfile.PAX_FORMAT, extra=[(entry, b"")]))
    with pytest.raises(StepError, match="not a regular file") as caught:
        archive.extract_member(path, "net", tmp_path / "out")
    assert caught.value.got == "a sparse file"


def test_too_many_members_is_an_error(put, monkeypatch):
    monkeypatch.setattr(archive, "MAX_MEMBERS", 3)
    for pack in (tar_bytes, zip_bytes):
        with pytest.raises(StepError, match="too many members"):
            archive.members(put(pack()))


def test_a_zip_with_a_directory_beyond_bounds_is_refused(put, monkeypatch):
    monkeypatch.setattr(zipstream, "MAX_DIRECTORY", 100)
    with pytest.raises(StepError, match="directory is too long"):
        archive.members(put(zip_bytes()))


def test_a_zip_in_front_of_which_something_stands_is_read(put, tmp_path):
    path = put(b"#!/bin/sh\nexit\n" + zip_bytes())
    assert archive.extract_member(path, "top", tmp_path / "out") == 512


def test_bytes_after_the_compressed_data_are_an_error_but_zero_padding_is_none(put, tmp_path):
    data = PACKERS["tar.gz"]()
    assert archive.extract_member(put(data + bytes(700)), "top", tmp_path / "out") == 512
    with pytest.raises(StepError, match="foreign bytes") as caught:
        archive.extract_member(put(data + b"<html>"), "top", tmp_path / "out")
    assert f"byte {len(data)}" in caught.value.where


def test_a_tar_without_end_marker_is_believed_only_when_its_compression_vouches_for_it(put, tmp_path):
    data = tar_bytes({"a": b"1"})[:1024]
    with pytest.raises(StepError, match="truncated"):
        archive.extract_member(put(data), "a", tmp_path / "out")
    assert archive.extract_member(put(gzip.compress(data)), "a", tmp_path / "out") == 1


def test_progress_reaches_the_end(put, tmp_path):
    for kind, total in (("tar.gz", None), ("zip", 3000)):
        data = PACKERS[kind]()
        seen = []
        archive.extract_member(
            put(data),
            "model/net.onnx",
            tmp_path / "out",
            progress=lambda done, all_, seen=seen: seen.append((done, all_)),
        )
        assert seen[-1] == (total or len(data),) * 2
        assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_an_archive_that_is_not_there_and_a_folder_that_is_not_writable_are_storage_errors(put, tmp_path):
    with pytest.raises(StorageError):
        archive.members(tmp_path / "nothing")
    with pytest.raises(StorageError) as caught:
        archive.extract_member(put(zip_bytes()), "top", tmp_path / "no-such-folder" / "out")
    assert "no-such-folder" in caught.value.where


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_a_storage_error(put, tmp_path, monkeypatch):
    (tmp_path / "full").symlink_to("/dev/full")
    monkeypatch.setattr(archive, "temporary_beside", lambda path: tmp_path / "full")
    with pytest.raises(StorageError, match="No space left"):
        archive.extract_member(put(PACKERS["tar.gz"]()), "model/net.onnx", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(min_size=1, max_size=60))
def test_a_normal_name_stays_inside(name):
    normal = archive.normal_name(name)
    if normal is not None:
        parts = normal.split("/")
        assert not set(parts) & {"", ".", ".."}
        assert not normal.startswith("/")
        assert archive.normal_name(normal) == normal
        assert Path("/base", normal).is_relative_to("/base")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=150),
        st.binary(max_size=1500),
        max_size=5,
    ),
    st.sampled_from(["gnu tar", "pax tar", "tar.gz"]),
)
def test_whatever_the_names_what_is_listed_comes_out_and_nothing_else_is_written(tmp_path, files, kind):
    files = {name: data for name, data in files.items() if len(name.encode()) < 90} if kind == "tar.gz" else files
    folder = tmp_path / "h"
    folder.mkdir(exist_ok=True)
    path = folder / "blob"
    path.write_bytes(PACKERS[kind](files))
    last = {}
    for name, data in files.items():
        normal = archive.normal_name(name)
        if normal is not None:
            last.pop(normal, None)
            if not name.endswith("/"):
                last[normal] = data
    assert archive.members(path) == [(name, len(data)) for name, data in last.items()]
    wanted = {name: folder / f"out{i}" for i, name in enumerate(last)}
    archive.extract_members(path, wanted)
    assert {name: out.read_bytes() for name, out in wanted.items()} == last
    for out in folder.iterdir():
        out.unlink()


def test_a_zip_of_a_version_that_nobody_knows_is_damaged(tmp_path):
    blob = bytearray(zip_bytes({"a": b"data"}))
    at = blob.index(b"PK\x01\x02") + 6  # version needed to extract
    blob[at : at + 2] = struct.pack("<H", 99)
    path = tmp_path / "a.zip"
    path.write_bytes(bytes(blob))
    with pytest.raises(StepError, match="zip file version"):
        archive.members(path)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_random_damage_never_ends_in_another_exception(tmp_path, data):
    kind = data.draw(st.sampled_from(sorted(PACKERS)))
    blob = bytearray(PACKERS[kind]({"a/b": b"data" * 100, "c": b""}))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(blob) - 1))
        blob[at : at + 1] = data.draw(st.binary(max_size=4))
        if not blob:
            break
    path = tmp_path / "blob"
    path.write_bytes(bytes(blob))
    for act in (archive.members, lambda p: archive.extract_member(p, "a/b", tmp_path / "out")):
        error = caught_by(act, path)
        assert error is None or str(error)
    (tmp_path / "out").unlink(missing_ok=True)
    assert left(tmp_path) == set()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=2000), st.lists(st.integers(1, 700), max_size=20), st.sampled_from([gzip, bz2, lzma]))
def test_reading_in_any_pieces_gives_the_same_bytes(tmp_path, content, counts, codec):
    path = tmp_path / "stream"
    half = len(content) // 2
    path.write_bytes(codec.compress(content[:half]) + codec.compress(content[half:]))  # two parts follow one another
    with Reader(path) as stream:
        read = b"".join(stream.read(count) for count in counts)
        read += b"".join(stream.chunks())
        assert stream.position == len(content)
        assert stream.parts == 2
    assert read == content


def test_an_xz_that_wants_gigabytes_of_memory_is_refused(tmp_path):
    path = tmp_path / "x"
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}]
    data = bytearray(lzma.compress(b"data" * 100, filters=filters))
    # Block header: size, flags, filter id 0x21, property size 1, dictionary size; 40 stands for 4 GiB - 1.
    assert data[14:16] == b"\x21\x01"
    data[16] = 40
    header = bytes(data[12:20])
    data[20:24] = struct.pack("<I", __import__("zlib").crc32(header))
    path.write_bytes(bytes(data))
    with Reader(path) as stream, pytest.raises(StepError, match="damaged"):
        stream.read(10)


def test_the_ratio_is_judged_by_all_parts_together(tmp_path):
    path = tmp_path / "many.gz"
    path.write_bytes(gzip.compress(bytes(1 << 20)) * 3)
    with Reader(path, max_ratio=100, ratio_floor=1 << 19) as stream, pytest.raises(StepError, match="beyond reason"):
        stream.drain()


def test_old_signed_checksums_are_accepted():
    entry = tarfile.TarInfo("n\xe9t").tobuf(tarfile.GNU_FORMAT, encoding="latin-1")
    signed = sum(byte - 256 if byte > 127 else byte for byte in entry[:148] + b" " * 8 + entry[156:])
    block = entry[:148] + b"%06o\0 " % signed + entry[156:]
    assert tarstream.is_header(block[:512])
    assert not tarstream.is_header(bytes(512))


def test_the_real_archives_give_their_members(upstream, tmp_path):
    tgz = upstream / "onnxzoo.blob.core.windows.net/models/opset_8/mnist/mnist.tar.gz"
    assert archive.extract_member(tgz, "mnist/model.onnx", tmp_path / "a") == 26454
    zipped = upstream / "storage.googleapis.com/download.tensorflow.org/models/tflite"
    zipped /= "mobilenet_v1_1.0_224_quant_and_labels.zip"
    assert archive.extract_member(zipped, "mobilenet_v1_1.0_224_quant.tflite", tmp_path / "b") == 4276352
    assert decompress.compression_of(tgz.read_bytes()[:4]) == "gzip"
