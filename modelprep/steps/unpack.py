"""``unpack``: named files out of an archive."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from modelprep.errors import RecipeError
from modelprep.formats.archive import MAX_BYTES
from modelprep.steps import Call, Exempt, Param, Step


def _run(call: Call) -> Mapping[str, object]:
    from modelprep.formats.archive import members as archive

    source = call.params["archive"]
    assert isinstance(source, Path)
    limit = call.params["max_bytes"]
    assert isinstance(limit, int)
    names = plan(call.params["members"])
    wanted = {member: call.output / name for member, name in names.items()}
    for path in wanted.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    sizes = archive.extract_members(source, wanted, max_bytes=limit, progress=call.progress)
    return {"archive": archive.kind_of(source), "members": {names[member]: size for member, size in sizes.items()}}


def plan(members: object) -> dict[str, str]:
    """Turn the parameter `members` into path inside the archive -> path below the output folder.

    Raises RecipeError: no list of paths and no mapping of path to new name; a path that leads out; two files at one
    place.
    """
    from modelprep.formats.archive import members as archive

    if isinstance(members, Mapping):
        pairs = list(members.items())
    elif isinstance(members, (list, tuple)):
        pairs = [(member, member) for member in members]
    else:
        pairs = []
    if not pairs or not all(isinstance(part, str) for pair in pairs for part in pair):
        raise RecipeError(
            "`members` of the step `unpack` must list the files to extract",
            expected="a list of paths inside the archive, or a mapping of such paths to new names",
            got=repr(members)[:200],
        )
    planned: dict[str, str] = {}
    for member, name in pairs:
        inside, below = archive.normal_name(member), archive.normal_name(name)
        if inside is None or below is None:
            raise RecipeError(
                f"'{member if inside is None else name}' leads out of the archive or folder",
                expected="a relative path without '..'",
            )
        if member in planned or below in planned.values():
            raise RecipeError(f"two members would become the same file '{below}'")
        planned[member] = below
    for name in planned.values():
        if any(other.startswith(f"{name}/") for other in planned.values()):
            raise RecipeError(f"'{name}' cannot be a file and a folder at once")
    return planned


def _room(params: Mapping[str, object], sizes: Mapping[str, int | None]) -> int | None:
    # How far an archive swells, its bytes alone do not say; what the recipe allows a member does.
    del sizes
    limit, members = params["max_bytes"], params["members"]
    assert isinstance(limit, int)
    return limit * len(plan(members)) if limit < MAX_BYTES else None


STEP = Step(
    name="unpack",
    version=1,
    summary="Extract named files from a tar (plain, gzip, bzip2, xz) or zip; nothing else is written.",
    params={
        "archive": Param("file", "The archive; its type is detected from its content.", required=True),
        "members": Param(
            "any", "Paths inside the archive: a list, or a mapping of path to the name in the result.", required=True
        ),
        "max_bytes": Param("int", "Refuse a member that is larger (bytes).", default=MAX_BYTES),
    },
    run=_run,
    room=_room,
    proof=Exempt("it unpacks bytes without reading a model"),
    produces="folder",
)
