"""Binding a recipe's step to the step itself: its parameters are known, there, and of the right kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from modelprep.errors import RecipeError, nearest
from modelprep.recipe.schema import Recipe, Ref, StepUse, Value
from modelprep.steps import Param, Step, find

_SCALARS: Mapping[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (int, float), "bool": (bool,)}


@dataclass(frozen=True)
class Bound:
    """A step with checked parameters.

    Parameters
    ----------
    use
        As the recipe has it.
    step
        The step.
    plain
        Parameters that are no files, defaults filled in, tuples made lists.
    files
        Slot -> reference; a slot is ``param`` (kind ``file``) or ``param/name`` (kind ``files``).
    absent
        File parameters left out, with their defaults.
    """

    use: StepUse
    step: Step
    plain: Mapping[str, object] = field(default_factory=dict)
    files: Mapping[str, Ref] = field(default_factory=dict)
    absent: Mapping[str, object] = field(default_factory=dict)

    def params(self, paths: Mapping[str, Path]) -> dict[str, object]:
        """Give the parameters of a call: slot -> path becomes a Path, or a dict of Paths by name."""
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
    """Find the step that a recipe uses and check the parameters it gives.

    Raises
    ------
    RecipeError
        Unknown step or parameter (the nearest is offered), one that is required and missing, a wrong kind of value.
    """
    try:
        step = find(use.uses)
    except RecipeError as error:
        raise RecipeError(error.what, where=_where(recipe, use), hint=error.hint) from None
    for name in use.params:
        if name not in step.params:
            raise RecipeError(
                f"the step '{step.name}' has no parameter '{name}'",
                where=_where(recipe, use),
                expected=f"one of {', '.join(step.params)}",
                hint=nearest(name, list(step.params)) or None,
            )
    plain: dict[str, object] = {}
    files: dict[str, Ref] = {}
    absent: dict[str, object] = {}
    for name, param in step.params.items():
        if name not in use.params:
            if param.required:
                raise RecipeError(
                    f"the step '{step.name}' needs the parameter '{name}'",
                    where=_where(recipe, use),
                    expected=f"{name}: {param.doc}",
                )
            (absent if param.kind in ("file", "files") else plain)[name] = param.default
        elif param.kind == "file":
            files[name] = _reference(recipe, use, name, use.params[name])
        elif param.kind == "files":
            files.update(_several(recipe, use, name, use.params[name]))
        else:
            plain[name] = _plain(recipe, use, name, param, use.params[name])
    return Bound(use=use, step=step, plain=plain, files=files, absent=absent)


def _where(recipe: Recipe, use: StepUse, name: str = "") -> str:
    return f"{recipe.path}: steps.{use.id}{f'.with.{name}' if name else ''}"


def _reference(recipe: Recipe, use: StepUse, name: str, value: Value) -> Ref:
    if isinstance(value, Ref):
        return value
    raise RecipeError(
        f"the parameter '{name}' of the step '{use.uses}' is a file",
        where=_where(recipe, use, name),
        expected="$name of an asset or of a step",
        got=repr(value),
    )


def _several(recipe: Recipe, use: StepUse, name: str, value: Value) -> dict[str, Ref]:
    if isinstance(value, Mapping):
        return {f"{name}/{key}": _reference(recipe, use, f"{name}.{key}", item) for key, item in value.items()}
    if not isinstance(value, tuple):
        value = (_reference(recipe, use, name, value),)
    slots: dict[str, Ref] = {}
    for item in value:
        ref = _reference(recipe, use, name, item)
        slot = f"{name}/{file_name(recipe, ref)}"
        if slots.setdefault(slot, ref) != ref:
            raise RecipeError(
                f"two files of the parameter '{name}' have the same name",
                where=_where(recipe, use, name),
                got=slot.partition("/")[2],
                hint="write a mapping of name to $ref instead of a list",
            )
    return slots


def file_name(recipe: Recipe, ref: Ref) -> str:
    """Give the name by which a step knows a file that came in a list."""
    if ref.inner:
        return PurePosixPath(ref.inner).name
    asset = recipe.assets.get(ref.name)
    if asset is None:
        return ref.name
    if asset.filename:
        return asset.filename
    if asset.sources:
        first = asset.sources[0]
        return PurePosixPath(first.member or first.url.partition("?")[0].partition("#")[0]).name or ref.name
    return ref.name


def _plain(recipe: Recipe, use: StepUse, name: str, param: Param, value: Value) -> object:
    plain = _thaw(value)
    if _has_ref(value):
        fits = False
    elif param.kind in _SCALARS:
        fits = isinstance(plain, _SCALARS[param.kind]) and (param.kind == "bool" or not isinstance(plain, bool))
    elif param.kind == "strs":
        fits = isinstance(plain, list) and all(isinstance(item, str) for item in plain)
    elif param.kind == "map":
        fits = isinstance(plain, dict)
    else:
        fits = True
    if value is None and not param.required and param.default is None:
        fits = True
    if not fits:
        raise RecipeError(
            f"the parameter '{name}' of the step '{use.uses}' has the wrong kind of value",
            where=_where(recipe, use, name),
            expected=_KINDS[param.kind],
            got=repr(plain) if not _has_ref(value) else f"a reference: {value}",
        )
    if param.choices and plain not in param.choices:
        known = [str(choice) for choice in param.choices]
        raise RecipeError(
            f"the parameter '{name}' of the step '{use.uses}' does not take this value",
            where=_where(recipe, use, name),
            expected=f"one of {', '.join(known)}",
            got=str(plain),
            hint=nearest(str(plain), known) or None,
        )
    return plain


_KINDS: Mapping[str, str] = {
    "str": "a string",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "strs": "a list of strings",
    "map": "a mapping",
    "any": "plain values, no $reference",
}


def _has_ref(value: Value) -> bool:
    if isinstance(value, Mapping):
        return any(_has_ref(item) for item in value.values())
    if isinstance(value, tuple):
        return any(_has_ref(item) for item in value)
    return isinstance(value, Ref)


def _thaw(value: Value) -> object:
    """Make plain dicts and lists of a recipe's frozen values."""
    if isinstance(value, Mapping):
        return {key: _thaw(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_thaw(item) for item in value]
    return value
