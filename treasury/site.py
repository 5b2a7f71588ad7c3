"""The URLs of the staging site: the treasury pages, signing in and out, and the admin."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path

urlpatterns = [
    path("", include("treasury.urls")),
    path(
        "accounts/login/",
        LoginView.as_view(template_name="treasury/login.html", redirect_authenticated_user=True),
        name="login",
    ),
    path("accounts/logout/", LogoutView.as_view(next_page="login"), name="logout"),
    path("admin/", admin.site.urls),
]
