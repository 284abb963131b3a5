"""Entries of ``install`` that fill a folder: which files of a step's folder go where.

``data/: $step`` means all files, ``data/: $step/sub`` those below a folder, ``data/: $step/sub/*.pb`` those that match
a pattern. ``*`` matches any characters of one name, ``**`` any number of folders. Files keep their path below the
folder, or below the last folder that the pattern names before its first star.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from modelprep.errors import RecipeError
from modelprep.recipe.schema import Recipe, Ref


def fills_folder(place: str) -> bool:
    """Whether an entry of ``install`` fills a folder."""
    return place.endswith("/")


def spread(place: str, ref: Ref, made: Collection[str]) -> dict[str, Ref]:
    """Return place in the tree -> file made by a step, for one entry that fills a folder (``./``: the tree)."""
    base, prefix = _base(ref.inner), "" if place == "./" else place
    return {f"{prefix}{name[len(base) :]}": Ref(ref.name, name) for name in sorted(made) if _fits(ref.inner, name)}


def _base(inner: str) -> str:
    """Return the base folder of the files' paths, with a slash; empty for the whole folder."""
    if "*" not in inner:
        return f"{inner}/" if inner else ""
    fixed = inner[: inner.index("*")]
    return fixed[: fixed.rfind("/") + 1]


def _fits(inner: str, name: str) -> bool:
    """Whether a reference matches a file of a step's folder; without a regular expression, as a recipe is untrusted."""
    if "*" not in inner:
        return name.startswith(_base(inner)) and name != inner
    names = name.split("/")
    # Which of the first n names the patterns up to this one can match.
    open_: set[int] = {0}
    for part in inner.split("/"):
        if part == "**":
            open_ = set(range(min(open_), len(names) + 1)) if open_ else set()
        else:
            open_ = {at + 1 for at in open_ if at < len(names) and _part_fits(part, names[at])}
    return len(names) in open_


def _part_fits(pattern: str, name: str) -> bool:
    first, *others = pattern.split("*")
    if not others:
        return pattern == name
    *middle, last = others
    if not name.startswith(first) or not name.endswith(last) or len(name) < len(first) + len(last):
        return False
    at, end = len(first), len(name) - len(last)
    for each in middle:
        at = name.find(each, at, end)
        if at < 0:
            return False
        at += len(each)
    return True


def resolve(install: Mapping[str, Ref], made: Callable[[str], Collection[str] | None]) -> dict[str, Ref]:
    """Return ``install`` with the known files of folders; an entry is unchanged while `made` returns None for its step.

    Raises `RecipeError` if no file matches an entry, or two entries install different files at one path.
    """
    found: dict[str, Ref] = {}
    for place, ref in install.items():
        files = made(ref.name) if fills_folder(place) else None
        if files is None:
            entries = {place: ref}
        elif not (entries := spread(place, ref, files)):
            raise RecipeError(
                f"the step '{ref.name}' makes no file that matches '{ref}'",
                where=f"install.{place}",
                expected=f"one of {', '.join(sorted(files)[:20])}",
            )
        for path, each in entries.items():
            if found.setdefault(path, each) != each:
                raise RecipeError(
                    f"two entries of 'install' put different files at '{path}'", where=f"install.{place}",
                    got=f"{found[path]} and {each}",
                )  # fmt: skip
    return found


def source_of(recipe: Recipe, path: str) -> Ref | None:
    """Return the source of a file of the tree; None if the recipe does not install it."""
    if path in recipe.install:
        return recipe.install[path]
    entries = [("" if place == "./" else place, ref) for place, ref in recipe.install.items() if fills_folder(place)]
    for prefix, ref in sorted(entries, key=lambda entry: -len(entry[0])):  # the innermost folder first
        if path.startswith(prefix):
            name = _base(ref.inner) + path.removeprefix(prefix)
            if _fits(ref.inner, name):
                return Ref(ref.name, name)
    return None
