"""django-tenants wants some."""

urlpatterns: list[object] = []
