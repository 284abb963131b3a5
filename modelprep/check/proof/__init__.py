"""Verification of conversions: run original and result on the same inputs and compare the numbers."""
