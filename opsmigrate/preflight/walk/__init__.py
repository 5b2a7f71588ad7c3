"""The walk: each operation of the plan asked of a simulated schema, and of the rows."""
