"""``path("sockudo/", include("sockudo_publisher.contrib.django.urls"))``."""

from __future__ import annotations

from django.urls import path

from .views import auth, user_auth
from .webhook import webhook

__all__ = ["app_name", "urlpatterns"]

app_name = "sockudo_publisher"
urlpatterns = [
    path("auth/", auth, name="auth"),
    path("user-auth/", user_auth, name="user-auth"),
    path("webhook/", webhook, name="webhook"),
]
