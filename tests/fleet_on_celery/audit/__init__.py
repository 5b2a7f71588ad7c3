"""Writes down each process that a fleet starts for a tenant, so that a test can count them."""
