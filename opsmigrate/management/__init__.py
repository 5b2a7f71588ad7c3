"""The only place, with apps.py, that knows the project's connections."""
