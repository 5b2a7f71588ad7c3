"""A database engine and a `migrate` of its own, as projects have them."""
