"""``modelprep recipe update``: move the pin of downloaded recipes to a newer version."""

from __future__ import annotations

from dataclasses import asdict

from modelprep.api.options import UpdateOptions
from modelprep.api.updating import update_recipes
from modelprep.cli import common
from modelprep.cli.output import Output


@common.command("modelprep recipe update", "modelprep recipe update --to v1.3 --dry-run")
def command(output: Output, dry_run: common.DryRun = False, **options: common.Unpack[UpdateOptions]) -> None:
    """Show what changed in downloaded recipes (demos, sources, checksums), then pin the new version."""
    updates = update_recipes(dry_run=dry_run, listen=output.listener(), **options)
    output.close()
    for each in updates:
        output.value(each.named)
        output.line(f"  from  {each.old_url or 'nothing'}  {each.old_sha256}".rstrip())
        output.line(f"  to    {each.url}  {each.sha256}")
        for name in each.added:
            output.line(f"  added    {name}")
        for name in each.removed:
            output.line(f"  removed  {name}")
        for name, lines in each.changed.items():
            output.line(f"  changed  {name}")
            for line in lines:
                output.line(f"           {line}")
        if not (each.added or each.removed or each.changed):
            output.line("  no recipe changed")
        if not each.moved:
            output.line("  already up to date")
        elif dry_run:
            output.line("  not pinned (--dry-run)")
    output.result({"updates": [{**asdict(each), "moved": each.moved, "dry_run": dry_run} for each in updates]})
