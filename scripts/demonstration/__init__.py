"""The parts of the demo: its database, what runs in the background, and the playbook's steps."""
