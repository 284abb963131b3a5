"""Room is looked at before the first byte."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from cli.workshop import Workshop, sha256

import modelprep
from modelprep.errors import StorageError
from modelprep.events import Event
from modelprep.pipeline.plan import disk_space
from modelprep.pipeline.plan.disk_space import rooms
from modelprep.store.disk import human

HUGE = 1 << 60


def thing(workshop: Workshop, size: int, data: bytes = b"thing") -> None:
    url = workshop.server.put("/thing.bin", data)
    workshop.recipe(
        "a",
        "schema: 1\ndemo: A\nsummary: s\nstatus: ready\ntree: Things\nassets:\n"
        f"  thing: {{urls: [{url}], sha256: {sha256(data)}, size: {size}, pinned_by: test}}\n"
        "install:\n  a.bin: $thing\n",
    )


def options(workshop: Workshop) -> dict[str, object]:
    return {"out": workshop.out, "cache": workshop.cache, "recipes": [workshop.recipes], "archives": False}


def test_what_cannot_fit_is_refused_before_the_first_request(workshop: Workshop, tmp_path: Path) -> None:
    thing(workshop, HUGE)
    with pytest.raises(StorageError) as caught:
        modelprep.fetch(["things"], **options(workshop))  # type: ignore[arg-type]
    assert caught.value.exit_code == 6
    assert str(2 * HUGE) in str(caught.value)
    assert workshop.server.log == []
    assert not workshop.out.exists()


def test_a_download_and_its_installed_copy_are_both_counted_and_nothing_after_it(workshop: Workshop) -> None:
    thing(workshop, 5)
    given = options(workshop)
    (room,) = rooms(modelprep.plan(["things"], **given))  # type: ignore[arg-type]
    assert (room.needed, room.unknown) == (10, 0)
    assert modelprep.fetch(["things"], **given).ok  # type: ignore[arg-type]
    (room,) = rooms(modelprep.plan(["things"], **given))  # type: ignore[arg-type]
    assert (room.needed, room.unknown) == (0, 0)


def test_a_rehearsal_as_json_tells_the_room_per_file_system(workshop: Workshop) -> None:
    thing(workshop, 5)
    ran = workshop.run("fetch", "things", "--dry-run", "--json")
    assert ran.code == 0, ran.err
    (room,) = ran.object["room"]
    assert sorted(room["places"]) == sorted([str(workshop.cache), str(workshop.out)])
    assert (room["needed"], room["unknown"]) == (10, 0)
    assert room["free"] > 10


def squeezed(workshop: Workshop, data: bytes, limit: int) -> int:
    packed = gzip.compress(data)
    url = workshop.server.put("/thing.gz", packed)
    workshop.recipe(
        "a",
        "schema: 1\ndemo: A\nsummary: s\nstatus: ready\ntree: Things\nassets:\n"
        f"  thing: {{urls: [{url}], sha256: {sha256(packed)}, size: {len(packed)}, pinned_by: test}}\n"
        f"steps:\n  - {{id: plain, uses: gunzip, with: {{file: $thing, max_bytes: {limit}}}}}\n"
        "  - {id: same, uses: copy, with: {file: $plain}}\n"
        "install:\n  a.bin: $same\n  b.bin: $same\n  c.gz: $thing\n",
    )
    return len(packed)


def test_what_steps_make_is_counted_by_its_bound_and_then_by_its_size(workshop: Workshop) -> None:
    packed = squeezed(workshop, b"y" * 5000, 7000)
    given = options(workshop)
    (room,) = rooms(modelprep.plan(["things"], **given))  # type: ignore[arg-type]
    # gzip in the store and installed; two steps' results, and the last of them installed twice
    assert (room.needed, room.at_most, room.unknown) == (2 * packed, 2 * packed + 4 * 7000, 0)
    assert modelprep.fetch(["things"], **given).ok  # type: ignore[arg-type]
    (workshop.out / "Things" / "b.bin").unlink()
    (room,) = rooms(modelprep.plan(["things"], **given))  # type: ignore[arg-type]
    assert (room.needed, room.at_most, room.unknown) == (5000, 5000, 0)


def test_a_step_of_which_nothing_is_known_is_counted_as_unknown(workshop: Workshop) -> None:
    packed = squeezed(workshop, b"y" * 5000, 7000)
    path = workshop.recipes / "things" / "a.yaml"
    path.write_text(path.read_text().replace(f"size: {packed}, ", "").replace(", max_bytes: 7000", ""))
    (room,) = rooms(modelprep.plan(["things"], **options(workshop)))  # type: ignore[arg-type]
    assert (room.needed, room.at_most) == (0, 0)
    assert room.unknown == 6  # the download, two results, three installed files


def test_a_doubt_about_the_room_is_a_warning_and_stops_nothing(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = squeezed(workshop, b"y" * 5000, 7000)
    heard: list[Event] = []
    monkeypatch.setattr(disk_space, "free_space", lambda place: 2 * packed + 4 * 7000 - 1)
    assert modelprep.fetch(["things"], **options(workshop), listen=heard.append).ok  # type: ignore[arg-type]
    (warning,) = [event for event in heard if event.kind == "warning"]
    assert f"up to {human(2 * packed + 4 * 7000)} may be written" in warning.text
    assert heard.index(warning) < next(n for n, event in enumerate(heard) if event.kind == "start")


def test_what_fits_by_its_bound_is_given_no_warning(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = squeezed(workshop, b"y" * 5000, 7000)
    heard: list[Event] = []
    monkeypatch.setattr(disk_space, "free_space", lambda place: 2 * packed + 4 * 7000)
    assert modelprep.fetch(["things"], **options(workshop), listen=heard.append).ok  # type: ignore[arg-type]
    assert [event for event in heard if event.kind == "warning"] == []
