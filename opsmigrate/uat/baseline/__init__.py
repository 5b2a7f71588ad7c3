"""Before and after: what a database and its site were like before a migration."""
