"""The recipe of docs/django.md: Django REST framework's tokens in place of sessions."""

from __future__ import annotations

from rest_framework.authentication import SessionAuthentication, TokenAuthentication
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.views import APIView

from sockudo_publisher.contrib.django.views import auth_response


class ChannelAuth(APIView):
    authentication_classes = [TokenAuthentication, SessionAuthentication]
    permission_classes = [IsAuthenticated]

    def post(self, request: Request):
        return auth_response(request, request.user)
