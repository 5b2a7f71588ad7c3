"""The commands a newcomer types: the demo, the checks and the acceptance test."""
