"""One file per kind of command: what it refuses, locks, rewrites, asks, loses and changes."""
