"""Says before `migrate` whether it will apply to this database, why not, and what to type."""

__version__ = "0.2.0"
