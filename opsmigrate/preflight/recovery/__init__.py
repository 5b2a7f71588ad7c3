"""A migration that stopped half-way: what is done, and what to type."""
