"""The workshop of the command's tests, here too."""

from cli.conftest import modelprep, workshop

__all__ = ["modelprep", "workshop"]
