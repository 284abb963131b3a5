"""The version of modelprep."""

__version__ = "0.1.0"
