"""Many databases, or many schemas of one: targets, classes of equal ones, and one report."""
