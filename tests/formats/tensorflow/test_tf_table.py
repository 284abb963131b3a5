"""The pieces that checkpoints are made of: CRC-32C, Snappy, tables, slice keys, boxes."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelprep.errors import StepError
from modelprep.formats.protowire import WireError, fields, read_varint, varint
from modelprep.formats.tensorflow.crc32c import crc32c, mask, unmask
from modelprep.formats.tensorflow.slices import Slice, copy_box, slice_key
from modelprep.formats.tensorflow.snappy import SnappyError, decompress
from modelprep.formats.tensorflow.sstable import MAGIC, Table


def plain_crc(data: bytes) -> int:
    """CRC-32C bit by bit, by its polynomial."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


@pytest.mark.parametrize(
    ("data", "crc"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
    ],
)
def test_crc32c_gives_the_published_values(data: bytes, crc: int) -> None:
    assert crc32c(data) == crc
    assert plain_crc(data) == crc


@given(st.binary(max_size=400), st.integers(0, 400))
def test_crc32c_goes_on_where_it_stopped_and_agrees_with_plain_python(data: bytes, cut: int) -> None:
    assert crc32c(memoryview(data)[cut:], crc32c(data[:cut])) == plain_crc(data) == crc32c(data)
    assert unmask(mask(crc32c(data))) == crc32c(data)


def test_a_long_view_is_summed_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytes(range(256)) * 5000
    assert crc32c(memoryview(data)) == crc32c(data)


# -- Snappy -------------------------------------------------------------------------------------------------------


@st.composite
def snappy_blocks(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A block made of random elements, and what it unfolds to by the words of the format."""
    plain, body = bytearray(), bytearray()
    for _ in range(draw(st.integers(0, 12))):
        if plain and draw(st.booleans()):
            offset = draw(st.integers(1, min(len(plain), 70000)))
            if offset < 2048 and draw(st.booleans()):
                count = draw(st.integers(4, 11))
                body += bytes([1 | (count - 4) << 2 | (offset >> 8) << 5, offset & 0xFF])
            elif offset < 65536 and draw(st.booleans()):
                count = draw(st.integers(1, 64))
                body += bytes([2 | (count - 1) << 2]) + offset.to_bytes(2, "little")
            else:
                count = draw(st.integers(1, 64))
                body += bytes([3 | (count - 1) << 2]) + offset.to_bytes(4, "little")
            for _ in range(count):
                plain.append(plain[-offset])
        else:
            literal = draw(st.binary(min_size=1, max_size=300))
            if len(literal) <= 60:
                body.append((len(literal) - 1) << 2)
            else:
                width = draw(st.integers(2 if len(literal) > 256 else 1, 4))
                body.append((59 + width) << 2)
                body += (len(literal) - 1).to_bytes(width, "little")
            body += literal
            plain += literal
    return varint(len(plain)) + bytes(body), bytes(plain)


@given(snappy_blocks())
def test_snappy_blocks_unfold(block: tuple[bytes, bytes]) -> None:
    assert decompress(block[0]) == block[1]


@given(snappy_blocks(), st.data())
def test_a_truncated_snappy_block_is_an_error(block: tuple[bytes, bytes], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(block[0]) - 1))
    if block[1]:
        with pytest.raises(SnappyError):
            decompress(block[0][:cut])


@given(st.binary(max_size=60))
def test_any_bytes_are_a_snappy_block_or_an_error(data: bytes) -> None:
    with contextlib.suppress(SnappyError):
        assert len(decompress(data, limit=1 << 20)) <= 1 << 20


def test_a_snappy_block_that_claims_gigabytes_is_an_error_before_memory_is_taken() -> None:
    with pytest.raises(SnappyError, match="more than"):
        decompress(varint(1 << 31) + b"\x00a")


# -- tables -------------------------------------------------------------------------------------------------------


def block(entries: list[tuple[bytes, bytes]], *, snappy: bool = False, restart: int = 3) -> bytes:
    out, restarts, previous = bytearray(), [], b""
    for index, (key, value) in enumerate(entries):
        shared = 0
        if index % restart == 0:
            restarts.append(len(out))
        else:
            while shared < min(len(key), len(previous)) and key[shared] == previous[shared]:
                shared += 1
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        previous = key
    out += struct.pack(f"<{len(restarts)}I", *restarts) + len(restarts).to_bytes(4, "little")
    data = bytes(out)
    if snappy:
        pieces = [data[i : i + 60] for i in range(0, len(data), 60)]
        data = varint(len(data)) + b"".join(bytes([(len(p) - 1) << 2]) + p for p in pieces)
    data += b"\x01" if snappy else b"\x00"
    return data + mask(crc32c(data)).to_bytes(4, "little")


def table(blocks: list[list[tuple[bytes, bytes]]], *, snappy: bool = False) -> bytes:
    out, index = bytearray(), []
    for entries in blocks:
        made = block(entries, snappy=snappy)
        index.append((entries[-1][0], varint(len(out)) + varint(len(made) - 5)))
        out += made
    meta = block([])
    footer = varint(len(out)) + varint(len(meta) - 5)
    out += meta
    made = block(index)
    footer += varint(len(out)) + varint(len(made) - 5)
    return bytes(out) + made + footer.ljust(40, b"\0") + MAGIC.to_bytes(8, "little")


ENTRIES = [(b"", b"head"), (b"conv1/b", b"1"), (b"conv1/w", b"22"), (b"conv2/b", b""), (b"conv2/w", b"x" * 300)]


@pytest.mark.parametrize("snappy", [False, True])
def test_entries_are_found_by_key_in_any_block(snappy: bool) -> None:
    made = Table(memoryview(table([ENTRIES[:2], ENTRIES[2:4], ENTRIES[4:]], snappy=snappy)), "t")
    for key, value in ENTRIES:
        entry = made.get(key, "it")
        assert entry is not None
        assert bytes(entry.value) == value
    assert [(entry.key, bytes(entry.value)) for entry in made] == ENTRIES
    assert made.get(b"conv1/x", "it") is None
    assert made.get(b"zzz", "it") is None


@pytest.mark.parametrize("snappy", [False, True])
def test_damage_in_one_block_leaves_the_others_readable(snappy: bool) -> None:
    data = bytearray(table([ENTRIES[:2], ENTRIES[2:4], ENTRIES[4:]], snappy=snappy))
    data[2] ^= 0x80
    made = Table(memoryview(bytes(data)), "t")
    assert made.get(b"conv2/w", "it") is not None
    with pytest.raises(StepError, match=r"tensor 'a' cannot be read.*damaged"):
        made.get(b"conv1/b", "tensor 'a'")


@given(st.binary(max_size=200))
def test_any_bytes_with_a_right_checksum_are_a_table_or_an_error(junk: bytes) -> None:
    contents = junk + b"\x00"
    made = contents + mask(crc32c(contents)).to_bytes(4, "little")
    footer = ((varint(0) + varint(len(junk))) * 2).ljust(40, b"\0") + MAGIC.to_bytes(8, "little")
    try:
        for entry in Table(memoryview(made + footer), "t"):
            assert isinstance(entry.key, bytes)
    except StepError:
        pass


# -- slices -------------------------------------------------------------------------------------------------------


@given(st.integers(0, (1 << 62) - 1), st.integers(0, (1 << 62) - 1))
def test_keys_of_slices_sort_like_their_starts(a: int, b: int) -> None:
    keys = [slice_key("w", Slice(((start, 3),))) for start in (a, b)]
    assert (a < b) == (keys[0] < keys[1])


def test_the_notation_of_slices_is_read_and_written() -> None:
    assert Slice.parse("-:0,5") == Slice(((0, -1), (0, 5)))
    assert str(Slice.parse("3,4:-")) == "3,4:-"
    assert Slice.parse("") == Slice(())
    for bad in ("1", "1,", "a,b", "-1,2", "1,2:"):
        with pytest.raises(ValueError, match="start,length"):
            Slice.parse(bad)


@given(st.data())
def test_boxes_copy_what_they_have_in_common(data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))

    def box() -> tuple[tuple[int, ...], tuple[int, ...]]:
        starts = [data.draw(st.integers(0, size - 1)) for size in shape]
        return tuple(starts), tuple(
            data.draw(st.integers(1, size - start)) for start, size in zip(starts, shape, strict=True)
        )

    def cells(of: tuple[tuple[int, ...], tuple[int, ...]]) -> list[tuple[int, ...]]:
        found: list[tuple[int, ...]] = [()]
        for start, count in zip(*of, strict=True):
            found = [(*cell, i) for cell in found for i in range(start, start + count)]
        return found

    target_box, source_box = box(), box()
    number = {cell: index + 1 for index, cell in enumerate(cells((tuple([0] * len(shape)), tuple(shape))))}
    source = b"".join(number[cell].to_bytes(2, "little") for cell in cells(source_box))
    target = bytearray(2 * len(cells(target_box)))
    copied = copy_box(target, target_box, memoryview(source), source_box, 2)
    common = set(cells(source_box)) & set(cells(target_box))
    assert copied == len(common)
    expected = b"".join((number[c] if c in common else 0).to_bytes(2, "little") for c in cells(target_box))
    assert bytes(target) == expected


# -- wire ---------------------------------------------------------------------------------------------------------


@given(st.integers(0, (1 << 64) - 1))
def test_numbers_are_read_as_written(value: int) -> None:
    assert read_varint(varint(value), 0, 10) == (value, len(varint(value)))


@given(st.binary(max_size=100))
def test_any_bytes_are_fields_or_an_error(data: bytes) -> None:
    with contextlib.suppress(WireError):
        for _, _, _, begin, stop in fields(data):
            assert 0 <= begin < stop <= len(data)
