"""The project's settings. What differs between machines is in the environment; README.md lists it."""

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from django.core.management.utils import get_random_secret_key

BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = os.environ.get("DESK_SECRET") or get_random_secret_key()
DEBUG = os.environ.get("DESK_DEBUG", "1") == "1"
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "sockudo_publisher.contrib.django",
    "orders",
]

SOCKUDO = {
    "URL": os.environ.get("SOCKUDO_URL", "http://app-key:app-secret@127.0.0.1:6001/apps/app-id"),
    "REDIS_URL": os.environ.get("SOCKUDO_REDIS_URL", "redis://127.0.0.1:6379/0"),
    "OUTBOX_NOTIFY": True,  # each commit wakes the relay (PostgreSQL)
    "USER_DATA": "orders.channels.user_data",
}
#: Sockudo's address for browsers, if it is another than that of SOCKUDO["URL"].
SOCKET_URL = os.environ.get("DESK_SOCKET_URL", "")

database = urlsplit(os.environ.get("DESK_DATABASE", "postgresql://127.0.0.1:5432/desk"))
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": database.path.lstrip("/"),
        "HOST": database.hostname or "",
        "PORT": database.port or "",
        "USER": unquote(database.username or ""),
        "PASSWORD": unquote(database.password or ""),
    }
}

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
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
ROOT_URLCONF = "desk.urls"
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = LOGOUT_REDIRECT_URL = "home"
STATIC_URL = "static/"
# pusher-js, as `npm ci` has installed it.
STATICFILES_DIRS = [("vendor", BASE_DIR / "node_modules" / "pusher-js" / "dist" / "web")]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
