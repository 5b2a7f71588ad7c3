"""The shapes of JSON reports: one module per command has the alternatives of its `facts`."""
