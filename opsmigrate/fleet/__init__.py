"""Many databases, or many schemas of one: one verdict each, one report of all."""
