"""``unpack``: named files out of an archive."""

from __future__ import annotations

from collections.abc import Mapping

from modelprep.errors import RecipeError
from modelprep.formats.archive import MAX_BYTES
from modelprep.steps import Call, Exempt, Facts, Param, Params, Sizes, Step


def _run(call: Call) -> Facts:
    from modelprep.formats.archive import members as archive

    source, limit, names = call.params["archive"], call.params["max_bytes"], plan(call.params["members"])
    wanted = {member: call.output / name for member, name in names.items()}
    for path in wanted.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    sizes = archive.extract_members(source, wanted, max_bytes=limit, progress=call.progress)
    return {"archive": archive.kind_of(source), "members": {names[member]: size for member, size in sizes.items()}}


def plan(members: object) -> dict[str, str]:
    """Return path inside the archive -> path below the output folder, as the parameter `members` says.

    Raises RecipeError: it is neither a list of paths nor a mapping of paths to new names; a path leads out; two files
    have one place.
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
            raise RecipeError(f"'{name}' cannot be both a file and a folder")
    return planned


def _room(params: Params, _: Sizes) -> int | None:
    # The size of an archive does not bound that of its members; the recipe's limit does.
    limit: int = params["max_bytes"]
    return limit * len(plan(params["members"])) if limit < MAX_BYTES else None


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
