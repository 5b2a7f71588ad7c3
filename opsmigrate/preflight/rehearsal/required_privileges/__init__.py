"""Which privileges a statement needs, by PostgreSQL's own grammar: one file per kind of command."""
