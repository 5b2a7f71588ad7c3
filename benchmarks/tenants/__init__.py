"""A project of django-tenants, which benchmarks/fleet.py measures."""
