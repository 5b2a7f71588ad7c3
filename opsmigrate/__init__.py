"""Says before `migrate` whether it will apply to this PostgreSQL database, why not, what to type."""

__version__ = "0.1.0"
