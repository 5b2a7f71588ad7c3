"""A project with django-tenants, for processes of its own: DATABASE_URL says where."""
