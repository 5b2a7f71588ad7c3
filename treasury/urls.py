"""The treasury pages."""

from django.urls import path
from django.views.generic import RedirectView

from treasury import health, views

app_name = "treasury"
urlpatterns = [
    path("", RedirectView.as_view(pattern_name="treasury:dashboards"), name="home"),
    path("healthz", health.healthz, name="healthz"),
    path("dashboards/", views.dashboards, name="dashboards"),
    path("dashboards/<slug:slug>/", views.dashboard, name="dashboard"),
    path("alerts/", views.alerts, name="alerts"),
    path("alerts/<int:pk>/acknowledge/", views.acknowledge_alert, name="alert-acknowledge"),
    path("payments/<uuid:payment_id>/", views.payment, name="payment"),
]
