"""The project's addresses."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path

urlpatterns = [
    path("", include("orders.urls")),
    path("sign-in/", LoginView.as_view(template_name="orders/sign_in.html"), name="sign-in"),
    path("sign-out/", LogoutView.as_view(), name="sign-out"),
    path("admin/", admin.site.urls),
    path("sockudo/", include("sockudo_publisher.contrib.django.urls")),
]
