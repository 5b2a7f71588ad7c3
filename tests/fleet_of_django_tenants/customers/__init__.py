"""Who has a schema."""
