"""Predict whether board tests pass: lint, preprocessing, host runtimes, verdicts."""
