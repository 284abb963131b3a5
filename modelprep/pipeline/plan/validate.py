"""Check that a recipe's steps exist and are called correctly. The one module that knows both recipes and steps.

`recipe lint` and the pipeline call it before anything is downloaded.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial

from modelprep import steps
from modelprep.errors import MissingTool, RecipeError, nearest
from modelprep.recipe.schema import Recipe, Ref, StepUse, refs
from modelprep.recipe.spread import spread

_KINDS = {
    "file": "a reference to a file ($asset, $step, $step/inner/path)",
    "files": "a list or mapping of references to files",
    "str": "a text",
    "strs": "a list of texts",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "map": "a mapping",
    "any": "a value",
}
#: Kinds of parameters with values of one type, lists of texts apart.
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "str": str, "int": int, "float": (int, float), "bool": bool, "map": Mapping,
}  # fmt: skip


def check_steps(recipe: Recipe) -> list[RecipeError]:
    """Return the problems of a recipe's steps, in their order; its references are valid."""
    errors = check_uses(recipe.steps)
    makers: dict[str, tuple[StepUse, str]] = {}
    for use in recipe.steps:
        with suppress(RecipeError):  # reported above
            makers[use.id] = use, steps.find(use.uses).produces
    uses = _uses(recipe, makers)
    found = (_check_ref(*makers[ref.name], name, place, ref) for name, place, ref in uses)
    return errors + [error for error in found if error is not None]


def check_uses(uses: Sequence[StepUse]) -> list[RecipeError]:
    """Check that steps exist and accept their parameters, each separately."""
    errors: list[RecipeError] = []
    for use in uses:
        try:
            step = steps.find(use.uses)
        except RecipeError as error:
            errors.append(RecipeError(error.what, where=_place(use, "uses"), hint=error.hint))
            continue
        except MissingTool as error:  # a plug-in that does not load: the recipe is correct but cannot be run
            error.where = _place(use, "uses")
            raise
        errors.extend(check_params(step, use.params, partial(_param_place, use)))
    return errors


def _param_place(use: StepUse, name: str) -> str:
    return _place(use, f"with.{name}" if name else "")


def _place(use: StepUse, key: str = "", recipe: Recipe | None = None) -> str:
    where = use.places.get(key) or use.place or (str(recipe.path) if recipe is not None else "the recipe")
    return f"{where} (step {use.id})"


def check_params(
    step: steps.Step, values: Mapping[str, object], where: str | Callable[[str], str]
) -> list[RecipeError]:
    """Check the parameters that a step is called with, files as :class:`~modelprep.recipe.schema.Ref`.

    `where` is the place in messages, or a function that returns it for a parameter (``""``: the step itself).
    """
    at = where if callable(where) else lambda _: where
    known = list(step.params)
    errors = [
        RecipeError(
            f"the step '{step.name}' has no parameter '{name}'",
            where=at(name),
            expected=f"one of {', '.join(known)}" if known else "no parameters",
            hint=nearest(name, known, 1) or None,
        )
        for name in values
        if name not in step.params
    ]
    for name, param in step.params.items():
        if name not in values:
            if param.required:
                what = f"the step '{step.name}' needs the parameter '{name}'"
                errors.append(RecipeError(what, where=at(""), expected=f"{_KINDS[param.kind]}: {param.doc}"))
            continue
        value = values[name]
        if value is None and not param.required:
            continue
        if not _fits(param.kind, value):
            what = f"the parameter '{name}' of the step '{step.name}' has the wrong type"
            named = param.kind == "file" and isinstance(value, str) and value.replace("-", "_").isidentifier()
            expected = f"{_KINDS[param.kind]}: {param.doc}"
            hint = f"write ${value}" if named else None
            errors.append(RecipeError(what, where=at(name), expected=expected, got=_show(value), hint=hint))
        elif param.choices and value not in param.choices:
            allowed = ", ".join(str(choice) for choice in param.choices)
            what = f"the parameter '{name}' of the step '{step.name}' has an unknown value"
            hint = nearest(str(value), [str(choice) for choice in param.choices], 1) or None
            errors.append(RecipeError(what, where=at(name), expected=f"one of {allowed}", got=_show(value), hint=hint))
    return errors


def _fits(kind: steps.ParamKind, value: object) -> bool:
    if kind == "file":
        return isinstance(value, Ref)
    if kind == "files":
        values = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple | list) else ()
        return bool(values) and all(isinstance(each, Ref) for each in values)
    if refs(value):
        # A reference instead of a plain value would reach the step as an unknown object.
        return False
    if kind == "strs":
        return isinstance(value, tuple | list) and all(isinstance(each, str) for each in value)
    if isinstance(value, bool) and kind in ("int", "float"):
        return False
    return kind == "any" or isinstance(value, _TYPES[kind])


def _show(value: object) -> str:
    if isinstance(value, Ref):
        return f"the reference {value}"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, tuple | list):
        return "a list"
    return f"{value!r}"


def references(recipe: Recipe) -> list[Ref]:
    """List every reference in a recipe's steps and install entries."""
    found = [ref for use in recipe.steps for value in use.params.values() for ref in refs(value)]
    return [*found, *recipe.install.values()]


def _uses(recipe: Recipe, names: Collection[str]) -> list[tuple[str, str, Ref]]:
    """List the references to some assets or steps: (its owner, its place, the reference)."""
    found = [
        (f"the parameter '{name}'", _place(use, f"with.{name}", recipe), ref)
        for use in recipe.steps
        for name, value in use.params.items()
        for ref in refs(value)
        if ref.name in names
    ]
    found += [
        (f"the entry '{name}'", f"{recipe.places.get(name, recipe.path)} (install)", ref)
        for name, ref in recipe.install.items()
        if ref.name in names
    ]
    return found


def _check_ref(use: StepUse, kind: str, name: str, place: str, ref: Ref) -> RecipeError | None:
    inside = made_by(use)
    expected = f"one of {', '.join(inside)}" if inside else None
    if name.startswith("the entry '") and name.endswith("/'"):  # it fills a folder
        if kind == "file":
            what, expected = f"{name} is a folder, and ${ref.name} is one file", None
            hint: str | None = "end the place with the file's name in the tree"
        elif inside and not spread("./", ref, inside):
            what, hint = f"{name} needs files that the step '{ref.name}' does not make", None
        else:
            return None
    elif kind == "folder" and not ref.inner:
        what, expected = f"{name} refers to a whole folder: ${ref.name} ({use.uses})", None
        hint = f"write {ref}/{inside[0] if inside else 'path/of/the/file'}"
    elif kind == "file" and ref.inner:
        what, expected = f"{name} refers to a path inside ${ref.name}, which is one file", None
        hint = f"write ${ref.name}"
    elif ref.inner and inside and ref.inner not in inside:
        what = f"{name} refers to a file that the step '{ref.name}' does not make"
        hint = nearest(ref.inner, inside, 1) or None
    else:
        return None
    return RecipeError(what, where=place, expected=expected, got=str(ref), hint=hint)


def made_by(use: StepUse) -> list[str]:
    """List the files that a folder step makes, as far as the recipe states them."""
    members = use.params.get("members")
    if use.uses == "unpack":
        if isinstance(members, Mapping):
            return [str(name) for name in members.values()]
        if isinstance(members, tuple):
            return [str(name) for name in members]
    if use.uses == "idx.check":
        return ["images", "labels"] if "labels" in use.params else ["images"]
    return []
