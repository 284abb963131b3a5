"""``modelprep bsp``: the known i.MX Linux releases (board support packages)."""

from __future__ import annotations

from typing import Annotated

from modelprep.api.showing import release as find_release
from modelprep.api.showing import releases, vela_of
from modelprep.cli import common
from modelprep.cli.output import Output

app = common.group("i.MX Linux releases: list, show.")


@app.command("list")
@common.command("modelprep bsp list")
def list_releases(output: Output) -> None:
    """List the releases with their runtime versions."""
    default, known = releases()
    output.result({"default": default, "releases": [each.to_json() for each in known]})
    columns = ("armnn", "tflite", "onnxruntime", "opencv")
    rows = []
    for each in known:
        found = [each.components[family].version if family in each.components else "-" for family in columns]
        rows.append((each.name, *found, each.vela or "-", each.neutron or "-"))
    names = ["release", "Arm NN", "TF Lite", "ONNX Runtime", "OpenCV", "Vela", "Neutron"]
    output.table("", names, rows, key=0)
    output.note(f"The default is {default}, the release that the manual UM11226 describes.")


@app.command()
@common.command("modelprep bsp show L6.6.36-2.1.0")
def show(
    output: Output,
    name: Annotated[str, common.Argument("RELEASE", "As `bsp list` shows it: L6.6.36-2.1.0.")],
) -> None:
    """Show one release: versions, folders on the board, files that the image already contains."""
    release = find_release(name)
    output.result(release.to_json())
    rows = [(family, each.version or "-", each.folder or "-") for family, each in release.components.items()]
    rows += [
        (tool, version, "-") for tool, version in (("vela", release.vela), ("neutron", release.neutron)) if version
    ]
    output.table(release.name, ["component", "version", "folder on the board"], rows)
    if release.armnn is not None:
        output.line(f"Arm NN parsers: {', '.join(release.armnn.parsers)}")
    if release.on_image:
        output.line()
        output.table("files on the image", ["path"], [(path,) for path in release.on_image])
    if command := vela_of(release):
        output.line(f"To compile with Vela {release.vela}: {command}")
    output.line(f"source: {release.source}")
