"""0001 as its older revision had it; no settings point here, only make_legacy_staging does."""
