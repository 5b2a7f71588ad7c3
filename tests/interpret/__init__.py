"""The interpreter against the server: interpret a statement, execute it, and look."""
