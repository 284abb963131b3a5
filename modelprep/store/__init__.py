"""Blobs by sha256, step results by key, locks, collection of garbage."""
