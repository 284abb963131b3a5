"""``modelprep doctor``: check extras, tools, free space and mirrors."""

from __future__ import annotations

from typing import Any

from modelprep.api.diagnosing import PEERS, TOOLS, doctor
from modelprep.api.options import DoctorOptions
from modelprep.api.text import install_command
from modelprep.cli import common
from modelprep.cli.output import Output, size_text


@common.command("modelprep doctor")
def command(output: Output, **options: common.Unpack[DoctorOptions]) -> None:
    """Check extras, tools, free space, mirrors and recipe folders."""
    facts = doctor(**options)
    output.result(facts)
    _print(output, facts)


def _print(output: Output, facts: dict[str, Any]) -> None:
    good, bad = output.style("yes", "green"), output.style("no", "yellow")
    rows: list[tuple[object, ...]] = [
        ("modelprep", facts["modelprep"], ""),
        ("python", facts["python"], facts["executable"]),
    ]
    # Command -> what it adds.
    missing: dict[str, list[str]] = {}
    rows.extend(("other", bad, text) for text in facts["namesakes"])
    for extra, found in facts["extras"].items():
        modules = ", ".join(f"{name} {version or 'missing'}" for name, version in found["modules"].items())
        rows.append((f"extra {extra}", good if found["complete"] else bad, modules))
        if not found["complete"]:
            missing.setdefault(install_command(extra), []).append(f"extra {extra}")
    for one in facts["plugins"]:
        said = f"{one['package']}: {one['problem']}" if one["problem"] else one["package"]
        rows.append((f"step {one['name']}", bad if one["problem"] else good, said))
    for name, one in facts["converters"].items():
        rows.append((f"for {name}", good if one["tool"] else bad, one["tool"]))
        if not one["tool"]:
            missing.setdefault(one["says"], []).append(name)
    for name, path in facts["tools"].items():
        rows.append((name, good if path else bad, path or f"for {TOOLS[name]}"))
    for name, found in facts["interpreters"].items():
        text = f"{found['program']} {found['says']}" if found["program"] else f"not set; for {PEERS[name][1]}"
        rows.append((name, {True: good, False: bad, None: "-"}[found["ok"]], text))
    store = facts["store"]
    text = store["says"] or f"{store['root']}, {size_text(store['free_bytes'])} free"
    rows.append(("store", good if store["writable"] else bad, text))
    rows.append(("out", good if facts["out"]["writable"] else bad, facts["out"]["path"]))
    rows.extend(("recipes", entry["recipes"], entry["folder"]) for entry in facts["recipes"])
    rows.extend(
        ("mirror", {True: good, False: bad, None: "?"}[entry["ok"]], f"{entry['mirror']}: {entry['says']}")
        for entry in facts["mirrors"]
    )
    rows.extend(("environment", name, value) for name, value in facts["proxies"].items())
    output.table("", ["component", "status", ""], rows)
    if missing:
        output.line()
        output.line("to add what is missing, if you want it:")
    for says, names in missing.items():
        output.prose(f"{', '.join(names)}:", "  ", "    ")
        output.typed(says, "    ")
