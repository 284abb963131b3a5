"""``for: {soc: [imx8mp, imx93]}``: one recipe text, a variant for each combination of the values.

In the texts of the recipe, keys of mappings included, ``${soc}`` is replaced by the value. There are no expressions and
no defaults, and the result is checked like any other text. This is done on nodes, before the recipe is read, so that an
error has the line of the original text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as Map
from itertools import islice, product
from pathlib import Path

from modelprep.recipe import tables, yaml_tree
from modelprep.recipe.problems import BAD, Problems, one_of
from modelprep.recipe.yaml_tree import Mapping, Node, Scalar, Sequence
from modelprep.structs import dataclass

#: Maximum number of variants in a matrix.
MOST = 200
#: Keys of the recipe that are not part of a variant.
_APART = ("schema", "for", "variants")
_USE = re.compile(r"(?P<escape>\$?)\$\{(?P<name>[^{}]*)\}")


@dataclass(frozen=True)
class Matrix:
    """The variants of a recipe's ``for:``, the default first: variant -> name -> the node of its value."""

    combinations: Map[str, Map[str, Scalar]]

    def values(self) -> dict[str, dict[str, str]]:
        """Return variant -> name -> value."""
        return {
            variant: {name: node.text for name, node in chosen.items()} for variant, chosen in self.combinations.items()
        }

    def apply(self, top: Mapping, variant: str, problems: Problems) -> Mapping:
        """Return a recipe's text with the values of a variant (of the first one if it is not in the matrix)."""
        if not self.combinations:
            return top
        chosen = self.combinations.get(variant) or next(iter(self.combinations.values()))
        made = Mapping(top.start, top.end, flow=top.flow)
        for key, node in top.entries.items():
            made.set(top.keys[key], node if key in _APART else _replaced(node, chosen, key, problems))
        return made


def read_matrix(top: Mapping, problems: Problems) -> Matrix:
    """Read the ``for:`` of a recipe; its form is checked by the recipe's table."""
    node = top.entries.get("for")
    table = BAD if node is None else tables.MATRIX.read(node, "for", Problems(problems.path))
    if not isinstance(node, Mapping) or table is BAD:
        return Matrix({})
    lists = {name: each.items for name, each in node.entries.items() if isinstance(each, Sequence)}
    combinations: dict[str, dict[str, Scalar]] = {}
    for values in islice(product(*lists.values()), MOST + 1):
        chosen = {name: value for name, value in zip(lists, values, strict=True) if isinstance(value, Scalar)}
        variant = "-".join(value.text for value in chosen.values())
        if variant in combinations or len(combinations) == MOST:
            what = "the matrix has more variants than a recipe may have" if variant not in combinations else (
                f"two combinations of the matrix have the name '{variant}'"
            )  # fmt: skip
            problems.add(what, node, "for", expected=f"at most {MOST} variants with unique names")
            break
        combinations[variant] = chosen
    return Matrix(combinations)


def names_of_variants(path: Path) -> list[str]:
    """List the names of a recipe's variants, those of its matrix first, even if the recipe is broken."""
    problems = Problems(path)
    top = yaml_tree.compose(yaml_tree.read_text(path), path, problems)
    variants = top.entries.get("variants")
    own = variants.entries.items() if isinstance(variants, Mapping) else ()
    sound = [name for name, node in own if isinstance(node, Mapping)]
    return list(dict.fromkeys([*read_matrix(top, problems).combinations, *sound]))


def _replaced(node: Node, chosen: Map[str, Scalar], at: str, problems: Problems) -> Node:
    if isinstance(node, Mapping):
        made = Mapping(node.start, node.end, flow=node.flow)
        for key, value in node.entries.items():
            here = f"{at}.{key}"
            name = _text(node.keys[key], chosen, here, problems)
            if name.text in made.entries:
                first = problems.where(made.keys[name.text])
                problems.add(f"the key '{name.text}' occurs twice", name, here, hint=f"the first is at {first}")
                continue
            made.set(name, _replaced(value, chosen, here, problems))
        return made
    if isinstance(node, Sequence):
        items = [_replaced(item, chosen, f"{at}[{index}]", problems) for index, item in enumerate(node.items)]
        return Sequence(items, node.start, node.end)
    return _text(node, chosen, at, problems)


def _text(node: Scalar, chosen: Map[str, Scalar], at: str, problems: Problems) -> Scalar:
    if "${" not in node.text:
        return node
    whole = _USE.fullmatch(node.text)
    if whole and not whole["escape"] and whole["name"] in chosen:
        value = chosen[whole["name"]]  # a number stays a number
        return Scalar(value.text, value.plain, node.start, node.end)

    def put(match: re.Match[str]) -> str:
        if match["escape"]:
            # At the beginning of a step's parameter the doubled sign makes it a text.
            return match[0] if match.start() == 0 else match[0][1:]
        if match["name"] not in chosen:
            problems.add(
                f"unknown name '{yaml_tree.shorten(match['name'])}' in the recipe's matrix", node, at,
                expected=one_of(f"${{{name}}}" for name in chosen),
                hint=problems.near(match["name"], chosen, 1) or "write $${...} for a literal ${...}",
            )  # fmt: skip
            return match[0]
        return chosen[match["name"]].text

    return Scalar(_USE.sub(put, node.text), False, node.start, node.end)
