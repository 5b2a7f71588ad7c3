"""Whether `migrate` will apply to this database, decided without touching it."""
