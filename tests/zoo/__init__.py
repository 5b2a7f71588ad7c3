"""An app without models, whose migrations each test writes for itself."""
