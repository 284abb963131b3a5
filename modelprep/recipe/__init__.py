"""Recipes of demos as checked structs."""
