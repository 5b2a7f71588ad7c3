"""SQL by PostgreSQL's own grammar: statements, their names, and the tokens of bodies."""
