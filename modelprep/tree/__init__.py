"""The finished folder: install, manifest, and what leaves from it."""
