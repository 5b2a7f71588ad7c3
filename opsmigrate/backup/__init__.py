"""Backups that are proven."""
