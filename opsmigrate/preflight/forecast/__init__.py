"""What the plan will do to the live tables while it runs: locks, rewrites, scans, seconds."""
