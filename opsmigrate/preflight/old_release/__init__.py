"""Whether the release that runs while `migrate` does can go on with the schema after it."""
