"""Bytes from outside, verified, into the store."""
