"""The schema of treasury, step by step."""
