"""Acceptance of a migrated database and its site."""
