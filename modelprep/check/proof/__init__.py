"""Proofs: run a model before and after a conversion on the same inputs and compare the numbers."""
