"""Settings of the project: everything of `sockudo_publisher.contrib.django` is used."""

from __future__ import annotations

import os

SECRET_KEY = "for tests"
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ.get("PROJECT_DB", ":memory:")}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROOT_URLCONF = "tests.integration.contrib.django.project.urls"
STATIC_URL = "/static/"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "rest_framework",
    "rest_framework.authtoken",
    "sockudo_publisher.contrib.django",
    "tests.integration.contrib.django.project.shop",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
SOCKUDO = {
    "URL": os.environ.get("PROJECT_SOCKUDO_URL", "http://key:secret@127.0.0.1:9/apps/app-id"),
    "REDIS_URL": os.environ.get("PROJECT_REDIS_URL", "redis://127.0.0.1:9/0"),
    "APPS": {"eu": "http://eu-key:eu-secret@127.0.0.1:9/apps/eu"},
    "ENCRYPTION_MASTER_KEY_BASE64": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
    "LANES": 2,
    "WEBHOOK_CREDENTIALS": [("old-key", "old-secret")],
}
