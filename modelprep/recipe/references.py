"""Relations between parts of a recipe: references, the order of steps, paths in the tree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from modelprep.recipe import yaml_tree
from modelprep.recipe.problems import Problems, one_of
from modelprep.recipe.schema import Ref, Value
from modelprep.recipe.shapes import Table
from modelprep.recipe.tables import OWN_FILES, REF
from modelprep.recipe.text import path_fault
from modelprep.recipe.yaml_tree import Node, Scalar


def parse_ref(text: str) -> Ref:
    """Parse ``$name/inner/path``; the text has been checked against the reference's pattern."""
    name, _, inner = text[1:].partition("/")
    return Ref(name, inner)


def value_of(node: Node) -> Value:
    """Return a step parameter: strings that start with ``$`` become :class:`Ref`, ``$$`` is a dollar sign."""
    if isinstance(node, yaml_tree.Mapping):
        return {key: value_of(value) for key, value in node.entries.items()}
    if isinstance(node, yaml_tree.Sequence):
        return tuple(value_of(item) for item in node.items)
    value = node.value
    if isinstance(value, str) and value.startswith("$"):
        return value[1:] if value.startswith("$$") else parse_ref(value)
    return value


def references(node: Node, at: str) -> Iterator[tuple[Scalar, str]]:
    """Walk all strings below a node that are references, each with its key path."""
    if isinstance(node, yaml_tree.Mapping):
        for key, value in node.entries.items():
            yield from references(value, f"{at}.{key}")
    elif isinstance(node, yaml_tree.Sequence):
        for index, item in enumerate(node.items):
            yield from references(item, f"{at}[{index}]")
    elif isinstance(node.value, str) and node.text.startswith("$") and not node.text.startswith("$$"):
        yield node, at


class Names:
    """The names of one recipe (`steps` in written order), and the check of references."""

    def __init__(self, assets: Mapping[str, object], steps: Sequence[Table], problems: Problems) -> None:
        self.problems = problems
        self.assets = assets
        self.steps: dict[str, Table] = {}
        for index, step in enumerate(steps):
            name = step.get("id")
            if name is None:
                continue
            at = f"steps[{index}].id"
            if name in assets:
                problems.add(f"'{name}' is both an asset and a step", step.place("id"), at, hint="rename the step")
            elif name in self.steps:
                first = problems.where(self.steps[name].place("id"))
                problems.add(f"two steps are called '{name}'", step.place("id"), at, hint=f"the first is at {first}")
            else:
                self.steps[name] = step

    def check(self, node: Scalar, at: str, *, folder: bool = False) -> Ref | None:
        """Check one reference: its form, that its name is known, that an inner path refers to a step's folder.

        With `folder` it may refer to several files of a step's output, and be a pattern.
        """
        if REF.read(node, at, self.problems) is not node.text:
            return None
        ref = parse_ref(node.text)
        if ref.name not in self.assets and ref.name not in self.steps:
            known = {**dict.fromkeys(self.assets), **dict.fromkeys(self.steps)} if not self.problems.many else {}
            expected = (
                one_of(f"${name}" for name in known) if known else "a name; the recipe has no assets and no steps"
            )
            hint = self.problems.near(ref.name, known, 1)
            self.problems.add(f"unknown asset or step '{ref.name}'", node, at, expected=expected, hint=hint)
            return None
        if folder and ref.name in self.assets:
            self.problems.add(
                f"'{ref.name}' is an asset, which is one file, but the place is a folder", node, at,
                expected="a step that makes a folder", hint="end the place with the file's name in the tree",
            )  # fmt: skip
            return ref
        if not ref.inner:
            return ref
        pattern = "*" in ref.inner
        fault = path_fault(ref.inner.replace("*", "x") if folder else ref.inner)
        if fault:
            why = "a pattern fills a folder: write the place with / at its end" if pattern and not folder else None
            self.problems.add(fault, node, at, got=f"'{node.text}'", hint=why)
        elif ref.name in self.assets:
            self.problems.add(
                f"'{ref.name}' is an asset, which is one file", node, at, got=f"'{node.text}'",
                hint="the step `unpack` makes a folder of an archive; a source with `member:` takes one file out of it",
            )  # fmt: skip
        return ref

    def order(self, needs: Mapping[str, Iterable[str]]) -> list[str]:
        """Return the steps so that each comes after the names it `needs`, else as written; a cycle is a problem."""
        done: dict[str, None] = {}
        waiting = list(self.steps)
        while waiting:
            ready = [name for name in waiting if all(need in done or need not in self.steps for need in needs[name])]
            if not ready:
                self._cycle(waiting, needs)
                break
            # One at a time keeps the written order where possible.
            done[ready[0]] = None
            waiting.remove(ready[0])
        return list(done)

    def _cycle(self, waiting: Sequence[str], needs: Mapping[str, Iterable[str]]) -> None:
        path = [waiting[0]]
        while (following := next(need for need in needs[path[-1]] if need in waiting)) not in path:
            path.append(following)
        circle = [*path[path.index(following) :], following]
        node = self.steps[circle[0]].place("id")
        self.problems.add(
            "steps depend on each other in a cycle", node, "steps", got=" -> ".join(f"${name}" for name in circle)
        )


def check_places(install: Table, problems: Problems) -> None:
    """Check that no two entries of ``install`` clash in the tree: a file cannot also be a folder."""
    names = set(install)
    folders: dict[str, str] = {}
    for name in names:
        parts = name.split("/")
        for count in range(1, len(parts)) if name != "./" else ():
            folders.setdefault("/".join(parts[:count]), name)
    seen: dict[str, str] = {}
    for name in install:
        node, at = install.node.keys[name], f"install.{name}"
        if name in folders:
            problems.add(f"'{name}' is a file here and a folder in '{folders[name]}'", node, at)
        if name in OWN_FILES or name.startswith(".modelprep"):
            problems.add(f"'{name}' is written by modelprep itself", node, at, hint="choose another name")
        same = seen.setdefault(name.casefold(), name)
        if same != name:
            problems.add(
                f"'{name}' and '{same}' are one file on systems that ignore case (macOS, Windows, FAT cards)", node, at
            )
