"""What each statement does to the schema, interpreted as PostgreSQL would, without a server."""
