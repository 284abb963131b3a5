"""Fetch and convert the model assets that embedded ML demos need."""

__version__ = "0.1.0"
