"""What several capabilities know about a schema."""
