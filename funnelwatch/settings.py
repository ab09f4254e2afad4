"""Deployment, read from the environment. Server mode needs all of SERVER_VARIABLES, embedded mode none; anything else fails here."""

import os
import secrets
from pathlib import Path
from urllib.parse import urlsplit

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

# Before NumPy is loaded, so here. Our arrays are small: OpenBLAS's threads gain nothing, spin, and take the cores from ingest.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

BASE_DIR = Path(__file__).resolve().parent
DATA_DIR = Path(os.environ.get("FUNNELWATCH_DATA") or "var").absolute()

SERVER_VARIABLES = ("CLICKHOUSE_URL", "DATABASE_URL", "CELERY_BROKER_URL")


def _secret(name: str) -> str:
    """The variable, or the content of the file that NAME_FILE names (as container secrets come); empty when neither is set."""
    text = os.environ.get(name, "")
    file = os.environ.get(f"{name}_FILE")
    if text or not file:
        return text
    try:
        return Path(file).read_text().strip()
    except OSError as error:
        raise ImproperlyConfigured(f"{name}_FILE names {file}, which cannot be read: {error.strerror}") from None


_given = [name for name in SERVER_VARIABLES if _secret(name)]
if _given and len(_given) < len(SERVER_VARIABLES):
    _missing = [name for name in SERVER_VARIABLES if name not in _given]
    raise ImproperlyConfigured(
        f"{', '.join(_given)} set but {', '.join(_missing)} missing: set all three for server mode, or none for embedded mode."
    )
EMBEDDED = not _given


def _flag(name: str, default: bool) -> bool:
    text = os.environ.get(name)
    if text is None:
        return default
    if text.lower() not in ("true", "false"):
        raise ImproperlyConfigured(f"{name} must be true or false, not {text!r}")
    return text.lower() == "true"


def _secret_key() -> str:
    """FUNNELWATCH_SECRET_KEY; embedded mode makes one and keeps it in the data directory."""
    if key := _secret("FUNNELWATCH_SECRET_KEY"):
        return key
    if not EMBEDDED:
        raise ImproperlyConfigured("FUNNELWATCH_SECRET_KEY (or FUNNELWATCH_SECRET_KEY_FILE) must be set in server mode.")
    DATA_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)
    kept = DATA_DIR / "secret_key"
    try:
        descriptor = os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return kept.read_text().strip()
    with os.fdopen(descriptor, "w") as handle:
        handle.write(secrets.token_urlsafe(50))
    return kept.read_text().strip()


SECRET_KEY = _secret_key()
DEBUG = _flag("FUNNELWATCH_DEBUG", False)
DEMO = _flag("FUNNELWATCH_DEMO", False)  # serves the demo's shop under /demo/; `funnelwatch demo` sets it

PUBLIC_URL = os.environ.get("FUNNELWATCH_PUBLIC_URL", "http://localhost:8000").rstrip("/")
_public = urlsplit(PUBLIC_URL)
if _public.scheme not in ("http", "https") or not _public.hostname:
    raise ImproperlyConfigured(f"FUNNELWATCH_PUBLIC_URL must be like https://watch.example.com, not {PUBLIC_URL!r}")
SLACK_URL = os.environ.get("FUNNELWATCH_SLACK_URL", "https://slack.com/api/")
PAGERDUTY_URL = os.environ.get("FUNNELWATCH_PAGERDUTY_URL", "https://events.pagerduty.com")
TRUSTED_PROXIES = tuple(part.strip() for part in os.environ.get("FUNNELWATCH_TRUSTED_PROXIES", "").split(",") if part.strip())

EMAIL_HOST = os.environ.get("FUNNELWATCH_EMAIL_HOST") or "localhost"
#: What each way of encrypting is called, and its port. A server elsewhere gets no password, and no alert, in the clear unless told to.
_EMAIL_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_email_tls = os.environ.get("FUNNELWATCH_EMAIL_TLS") or ("none" if EMAIL_HOST == "localhost" else "starttls")
if _email_tls not in _EMAIL_PORTS:
    raise ImproperlyConfigured(f"FUNNELWATCH_EMAIL_TLS must be starttls, tls or none, not {_email_tls!r}")
EMAIL_USE_TLS, EMAIL_USE_SSL = _email_tls == "starttls", _email_tls == "tls"
_email_port = os.environ.get("FUNNELWATCH_EMAIL_PORT") or str(_EMAIL_PORTS[_email_tls])
if not _email_port.isdecimal() or not 0 < int(_email_port) < 65_536:
    raise ImproperlyConfigured(f"FUNNELWATCH_EMAIL_PORT must be a port number, not {_email_port!r}")
EMAIL_PORT = int(_email_port)
EMAIL_HOST_USER = os.environ.get("FUNNELWATCH_EMAIL_USER", "")
EMAIL_HOST_PASSWORD = _secret("FUNNELWATCH_EMAIL_PASSWORD")
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = os.environ.get("FUNNELWATCH_EMAIL_FROM") or f"FunnelWatch <funnelwatch@{_public.hostname}>"

# Ingest answers any host (shops point their own names at it); pages and API answer the public name and this machine.
ALLOWED_HOSTS = [_public.hostname, "localhost", "127.0.0.1", "[::1]", "testserver"]
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
_https = _public.scheme == "https"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_HSTS_SECONDS = 31_536_000 if _https else 0
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if _https:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "funnelwatch.projects",
    "funnelwatch.incidents",
    "funnelwatch.api",
    "funnelwatch.web",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "funnelwatch.web.middleware.StaticFiles",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "funnelwatch.web.middleware.ContentSecurityPolicy",
]

ROOT_URLCONF = "funnelwatch.urls"
ASGI_APPLICATION = "funnelwatch.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

if EMBEDDED:
    CLICKHOUSE_URL = f"chdb://{DATA_DIR / 'chdb'}"
    CELERY_BROKER_URL = "memory://localhost/"
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": DATA_DIR / "funnelwatch.sqlite3",
            # WAL lets pages read while jobs write; IMMEDIATE makes a busy writer wait for its turn instead of failing.
            "OPTIONS": {
                "timeout": 20,
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
            },
            # A file, not memory: jobs and pages are threads with connections of their own.
            "TEST": {"NAME": DATA_DIR / "test.sqlite3"},
        }
    }
else:
    CLICKHOUSE_URL = _secret("CLICKHOUSE_URL")
    CELERY_BROKER_URL = _secret("CELERY_BROKER_URL")
    # A connection a request: under ASGI each has a thread of its own, and what is kept open there nobody uses again.
    DATABASES = {"default": dj_database_url.parse(_secret("DATABASE_URL"), conn_max_age=0)}

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"
CSRF_FAILURE_VIEW = "funnelwatch.web.views.errors.csrf"

USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False

STATIC_URL = "static/"
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "funnelwatch.api.auth.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PAGINATION_CLASS": "funnelwatch.api.pagination.CursorPagination",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "EXCEPTION_HANDLER": "funnelwatch.api.errors.problem_handler",
    "PAGE_SIZE": 50,
}
SPECTACULAR_SETTINGS = {"TITLE": "FunnelWatch", "VERSION": "v1", "SERVE_INCLUDE_SCHEMA": False}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["stderr"], "level": os.environ.get("FUNNELWATCH_LOG_LEVEL", "WARNING")},
    # Prophet's Stan back end logs every fit at INFO, its plots (which we do not draw) their missing library at ERROR.
    "loggers": {"cmdstanpy": {"level": "ERROR"}, "prophet": {"level": "ERROR"}, "prophet.plot": {"level": "CRITICAL"}},
}
