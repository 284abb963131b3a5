"""``python -m modelprep``."""

from __future__ import annotations

from modelprep.cli.main import run

if __name__ == "__main__":
    run()
