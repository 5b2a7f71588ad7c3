"""The whole playbook as one run, and its step that migrates the live database."""
