"""The SQL edge: what is asked of a PostgreSQL server, and nothing about migrations."""
