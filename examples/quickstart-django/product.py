"""A product's back end that asks SMP whether a user may use a feature."""

import functools
import os
import sys
import uuid

import django
import httpx
from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path

settings.configure(ALLOWED_HOSTS=["127.0.0.1"], ROOT_URLCONF=__name__, SECRET_KEY=os.urandom(32).hex())
django.setup()

smp = httpx.Client(
    base_url=os.environ.get("ENTITLEMENTS_URL", "http://127.0.0.1:8000"),
    headers={"Authorization": f"Bearer {os.environ['ENTITLEMENTS_KEY']}"},
    timeout=1,
)


def current_user(request):
    """Return SMP's id of the signed-in user. Replace this with your own sign-in: a header proves nothing."""
    return uuid.UUID(request.headers["X-User-Id"])


def refused(status, detail):
    return JsonResponse({"detail": detail}, status=status)


def requires(name):
    """Require a feature; the view receives its value."""

    def decorate(view):
        @functools.wraps(view)
        def guarded(request):
            try:
                response = smp.get(f"/v1/users/{current_user(request)}/access/{name}")
                if response.status_code == 404:
                    return refused(403, "user_not_found")
                answer = response.raise_for_status().json()
            except (KeyError, ValueError):
                return refused(422, "X-User-Id must be a user's id")
            except httpx.HTTPError:
                return refused(503, "entitlements_unavailable")
            return view(request, answer["value"]) if answer["allowed"] else refused(403, answer["reason"])

        return guarded

    return decorate


@requires("export")
def export(request, value):
    return JsonResponse({"rows": [1, 2, 3]})


@requires("seats")
def seats(request, value):
    return JsonResponse({"seats": value})


urlpatterns = [path("export", export), path("seats", seats)]
application = get_wsgi_application()

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
