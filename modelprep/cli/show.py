"""``modelprep show``: everything about one recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelprep.api.options import ShowOptions
from modelprep.api.showing import show
from modelprep.cli import common
from modelprep.cli.output import Output, size_text


@common.command("modelprep show CaffeVGG-Armnn", "modelprep show armnn-tf/inception-v3@frozen")
def command(output: Output, target: common.Target, **options: common.Unpack[ShowOptions]) -> None:
    """Show one recipe: the command for the board, its expected output, errors in the manual, files, sources, steps."""
    facts = show(target, **options)
    output.result(facts)
    if output.mode == "quiet":
        output.value(facts["recipe"])
    else:
        _print(output, facts)


def _layers(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Yield the folders of recipes in order, if there are several: a later one shadows those before."""
    if len(facts["layers"]) < 2:
        return []
    used = max((number for number, each in enumerate(facts["layers"]) if each["path"]), default=-1)
    lines = []
    for number, each in enumerate(facts["layers"]):
        state = "used" if number == used else "shadowed" if each["path"] else "does not have this recipe"
        origin = f" ({each['origin']})" if each["origin"] else ""
        lines.append(("" if number else "recipes", f"{number + 1}. {each['folder']}{origin}: {state}"))
    return lines


def _print(output: Output, facts: dict[str, Any]) -> None:
    """Print the most asked first: the command, its output, errors in the manual; then how the demo is made."""
    variant = f"@{facts['variant']}" if facts["variant"] else ""
    output.line(output.style(f"{facts['demo']}  ({facts['recipe']}{variant})", "bold"))
    manual = f"section {facts['manual']}" if facts["manual"] else ""
    board = facts["board"] or ("the ssh user's home directory" if facts["run"] else "")
    for label, text in (
        ("summary", facts["summary"]),
        ("manual", manual),
        ("status", facts["status"]),
        ("why", facts["why"]),
        ("state", facts["state"]),
        ("path", facts["path"]),
        ("shadows", facts["shadows"]),
        *_layers(facts),
        ("tree", facts["tree"] if facts["install"] else ""),
        ("board", board),
        ("absent", facts["absent"]),
    ):
        if text:
            _wrapped(output, f"  {label + ':' if label else '':<10} ", text)
    for number, (name, text) in enumerate(facts["variants"].items()):
        _wrapped(output, f"  {'' if number else 'variants:':<10} @{name}: ", text)
    if facts["run"]:
        _section(output, "on the board", [])
        output.typed(facts["run"])
    _section(output, "expected output", [*facts["prints"], *facts["answers"]])
    _section(output, "errors in the manual", facts["manual_errors"], "- ")
    _section(output, "notes", facts["notes"], "- ")
    _section(output, "check settings", [f"{name}: {_plain(value)}" for name, value in facts["expect"].items()])
    if facts["install"]:
        _section(output, "files", [])
        output.table("", ["", "", ""], [(f"  {place}", "<-", ref) for place, ref in facts["install"].items()])
    _section(output, "on the image already (--image-files prepares them too)", list(facts["on_image"].values()))
    if facts["assets"]:
        _section(output, "assets", [])
    for asset in facts["assets"]:
        _print_asset(output, asset)
    steps: list[str] = []
    for step in facts["steps"]:
        steps.append(f"{step['id']} = {step['uses']}({_plain(step['with'])[1:-1]})")
        proof = step["proof"]
        if proof and proof["needed"]:
            steps.append(f"  proven to {proof['tolerance']:.2g} of the largest value ({proof['origin']})")
    _section(output, "steps", steps)
    if "problem" in facts:
        output.line()
        output.line(f"{output.style('cannot be prepared now:', 'yellow')} {facts['problem']['what']}")
        if hint := facts["problem"].get("hint"):
            output.line(f"  next: {hint}")


def _section(output: Output, title: str, texts: Sequence[str], mark: str = "") -> None:
    if texts or title in ("on the board", "files", "assets"):
        output.line()
        output.line(output.style(title, "bold"))
    for text in texts:
        _wrapped(output, f"  {mark}", text)


def _wrapped(output: Output, start: str, text: str) -> None:
    """Print prose folded to the terminal, later lines aligned with the first line's text."""
    indent = len(text) - len(text.lstrip())
    # Text without a mark may be compared with other output, so it is not folded in a pipe.
    write = output.fact if start == "  " else output.prose
    write(text.lstrip(), start + " " * indent, " " * (min(len(start), 13) + indent + (0 if len(start) > 2 else 2)))


def _plain(value: object) -> str:
    """Write a value as in a recipe: ``{name: data, shape: [1, 3]}``."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_plain(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_plain, value)) + "]"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return str(value)


def _print_asset(output: Output, asset: dict[str, Any]) -> None:
    def line(text: str) -> None:
        output.fact(text, "      ", "        ")

    known = {
        "here": "here",
        "provide": "slot: supply your file with --set",
        "restricted": "restricted: do not redistribute",
    }
    marks = [text for name, text in known.items() if asset[name]]
    name = asset["id"] if asset["id"] == asset["key"] else f"{asset['id']} ({asset['key']})"
    output.fact(f"{name}, {size_text(asset['size'])}{' [' + '; '.join(marks) + ']' if marks else ''}", "  ", "    ")
    if asset["summary"]:
        line(asset["summary"])
    for algorithm, value in asset["digests"].items():
        line(f"{algorithm} {value}")
    for member, digests in asset["members"].items():
        line(f"{member}: {', '.join(f'{algorithm} {value}' for algorithm, value in digests.items())}")
    if asset["locked"]:
        line(f"locked: sha256 {asset['locked']['sha256']}, first seen from {asset['locked']['first_seen_from']}")
    elif asset["pin"] == "first-use":
        line("no published checksum: the first fetch records one in modelprep.lock")
    if asset["pinned_by"]:
        line(f"pinned by {asset['pinned_by']}")
    if asset["licence"]:
        source = f" - {asset['licence_source']}" if asset["licence_source"] else ""
        line(f"licence {asset['licence']}{source} ({', '.join(asset['licence_classes'])})")
    for source in asset["sources"]:
        member = f"#{source['member']}" if source["member"] else ""
        line(f"{source['url']}{member}{'  (' + source['note'] + ')' if source['note'] else ''}")
    for note in asset["notes"]:
        line(f"note: {note}")
