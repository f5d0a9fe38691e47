"""The package's URLs, for WSGI and for ASGI, and the recipe for token authentication."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views.decorators.csrf import ensure_csrf_cookie

from sockudo_publisher.contrib.django.views import auth

from .shop.api import ChannelAuth


@ensure_csrf_cookie
def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse("<!doctype html><title>desk</title>")


urlpatterns = [
    path("", page),
    path("admin/", admin.site.urls),
    path("sockudo/", include("sockudo_publisher.contrib.django.urls")),
    path("asgi/", include("sockudo_publisher.contrib.django.async_urls", namespace="asgi")),
    path("eu/auth/", auth, {"app": "eu"}),
    path("api/auth/", ChannelAuth.as_view()),
]
