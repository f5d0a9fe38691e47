"""As ``urls``, with coroutines as views: for projects under ASGI."""

from __future__ import annotations

from django.urls import path

from .views import aauth, user_aauth
from .webhook import webhook

__all__ = ["app_name", "urlpatterns"]

app_name = "sockudo_publisher"
urlpatterns = [
    path("auth/", aauth, name="auth"),
    path("user-auth/", user_aauth, name="user-auth"),
    path("webhook/", webhook, name="webhook"),
]
