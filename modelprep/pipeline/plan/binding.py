"""Bind a recipe's step to the step itself: plain parameters with defaults filled in, and files by slot.

:mod:`modelprep.pipeline.plan.validate` has checked the parameters before.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from modelprep.errors import RecipeError
from modelprep.recipe.schema import Recipe, Ref, StepUse, Value
from modelprep.steps import Step, find
from modelprep.structs import dataclass, field


@dataclass(frozen=True)
class Bound:
    """A step with its parameters.

    `plain` are those that are no files, defaults filled in; `files` maps a slot, ``param`` (kind ``file``) or
    ``param/name`` (kind ``files``), to its reference; `absent` are file parameters left out, with their defaults.
    """

    use: StepUse
    step: Step
    plain: Mapping[str, object] = field(default_factory=dict)
    files: Mapping[str, Ref] = field(default_factory=dict)
    absent: Mapping[str, object] = field(default_factory=dict)

    def params(self, paths: Mapping[str, Path]) -> dict[str, object]:
        """Return the parameters of a call: slot -> path becomes a Path, or a dict of Paths by name."""
        params: dict[str, object] = {**self.absent, **self.plain}
        for slot in self.files:
            param, inside, name = slot.partition("/")
            if not inside:
                params[param] = paths[slot]
                continue
            several = params.setdefault(param, {})
            assert isinstance(several, dict)
            several[name] = paths[slot]
        return params


def bind(recipe: Recipe, use: StepUse) -> Bound:
    """Bind a step of a recipe that :func:`modelprep.pipeline.plan.validate.check_steps` has accepted."""
    step = find(use.uses)
    plain: dict[str, object] = {}
    files: dict[str, Ref] = {}
    absent: dict[str, object] = {}
    for name, param in step.params.items():
        value = use.params.get(name)
        if param.kind not in ("file", "files"):
            plain[name] = thaw(value) if name in use.params else param.default
        elif value is None:
            absent[name] = param.default
        elif isinstance(value, Ref):
            files[name] = value
        else:
            files.update(_several(recipe, use, name, value))
    if step.tool is not None:
        plain["tool"] = step.tool(plain)  # part of the key: another version of the program makes another file
    if step.origin:
        plain["plugin"] = step.origin  # so does another version of the package
    return Bound(use=use, step=step, plain=plain, files=files, absent=absent)


def _several(recipe: Recipe, use: StepUse, name: str, value: Value) -> dict[str, Ref]:
    if isinstance(value, Mapping):
        return {f"{name}/{key}": ref for key, ref in value.items() if isinstance(ref, Ref)}
    slots: dict[str, Ref] = {}
    for ref in value if isinstance(value, tuple) else ():
        assert isinstance(ref, Ref)
        slot = f"{name}/{file_name(recipe, ref)}"
        if slots.setdefault(slot, ref) != ref:
            raise RecipeError(
                f"two files of the parameter '{name}' have the same name",
                where=use.place or str(recipe.path),
                got=slot.partition("/")[2],
                hint="write a mapping of name to $ref instead of a list",
            )
    return slots


def file_name(recipe: Recipe, ref: Ref) -> str:
    """Return the name of a file in a list for a step."""
    if ref.inner:
        return PurePosixPath(ref.inner).name
    asset = recipe.assets.get(ref.name)
    if asset is None:
        return ref.name
    if asset.filename:
        return asset.filename
    if asset.sources:
        first = asset.sources[0]
        return PurePosixPath(first.member or first.url.path).name or ref.name
    return ref.name


def thaw(value: object) -> object:
    """Convert a recipe's frozen values to plain dicts and lists."""
    if isinstance(value, Mapping):
        return {key: thaw(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [thaw(item) for item in value]
    return value
