"""The workshop of the command's tests, here for the pipeline itself."""

from cli.conftest import workshop

__all__ = ["workshop"]
