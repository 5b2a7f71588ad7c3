"""Whether this release runs and its database answers, for load balancers and deploy scripts."""

from django.conf import settings
from django.db import Error, connection, transaction
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe


# With ATOMIC_REQUESTS a dead database would otherwise answer 500 before the view runs.
@transaction.non_atomic_requests
@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Answer 200 with the release when the database answers, else 503."""
    release = getattr(settings, "RELEASE", None)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return JsonResponse({"status": "unavailable", "release": release}, status=503)
    return JsonResponse({"status": "ok", "release": release})
