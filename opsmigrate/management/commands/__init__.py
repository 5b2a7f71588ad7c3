"""The commands, each a few lines."""
