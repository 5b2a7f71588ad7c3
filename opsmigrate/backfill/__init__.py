"""Filling a column of a live table."""
