"""The version of modelprep."""

__version__ = "0.2.0"
