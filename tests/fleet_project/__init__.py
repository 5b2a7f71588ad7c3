"""A project with many tenants, for processes of its own: DATABASE_URL says where."""
