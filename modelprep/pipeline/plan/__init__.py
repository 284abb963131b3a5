"""Decide: from a request to a plan. Nothing is downloaded or written here."""
