"""Room is looked at before the first byte."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.workshop import Workshop, sha256

import modelprep
from modelprep.errors import StorageError
from modelprep.pipeline.space import rooms

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
