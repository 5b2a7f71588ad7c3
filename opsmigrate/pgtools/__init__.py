"""The process edge: PostgreSQL clients and servers as child processes."""
