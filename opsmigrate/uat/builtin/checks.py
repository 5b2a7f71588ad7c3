"""Django's own system checks, as `manage.py check --deploy` has them: errors, then warnings."""

from django.conf import settings
from django.core.checks import ERROR, WARNING, CheckMessage, run_checks

from opsmigrate.postgres.search_path import project_search_path
from opsmigrate.steps import command
from opsmigrate.uat.context import Context
from opsmigrate.uat.outcome import Failed
from opsmigrate.uat.registry import check

# What must be relaxed for a site to work over plain HTTP (django.core.checks.security).
TLS_IDS = {
    "security.W004",  # SECURE_HSTS_SECONDS
    "security.W005",  # SECURE_HSTS_INCLUDE_SUBDOMAINS
    "security.W008",  # SECURE_SSL_REDIRECT
    "security.W012",  # SESSION_COOKIE_SECURE
    "security.W016",  # CSRF_COOKIE_SECURE
    "security.W021",  # SECURE_HSTS_PRELOAD
}

CHECK = (command("python manage.py check --deploy"),)


@check("django-checks", tags=("django",), severity="blocker")
def django_checks(context: Context) -> str:
    """No system check has an error; where DEBUG is off, none of `check --deploy` either."""
    errors = _errors(context)
    if errors:
        raise Failed(_words(errors), steps=CHECK)
    return "no errors"


@check("deployment-checks", tags=("django", "security"), severity="minor")
def deployment_checks(context: Context) -> str:
    """Nothing else of `check --deploy`; TLS may be off for plain HTTP on loopback."""
    errors = _errors(context)
    found = _messages(context, deployment=True, at_least=WARNING)
    warnings = [item for item in found if item not in errors]
    relaxed = [item for item in warnings if item.id in TLS_IDS]
    if context.site is None or not context.site.is_plain_loopback:
        relaxed = []
    others = [item for item in warnings if item not in relaxed]
    if others:
        raise Failed(_words(others), steps=CHECK)
    if relaxed:
        ids = ", ".join(str(item.id) for item in relaxed)
        return f"TLS settings are relaxed for plain HTTP on loopback ({ids}); no other warnings"
    return "no warnings"


def _errors(context: Context) -> list[CheckMessage]:
    # What is deployed has DEBUG off; a project that was only just begun mails to its console.
    return _messages(context, deployment=not settings.DEBUG, at_least=ERROR)


def _messages(context: Context, *, deployment: bool, at_least: int) -> list[CheckMessage]:
    databases = [context.connection.alias]
    with project_search_path(context.connection):
        found = run_checks(include_deployment_checks=deployment, databases=databases)
    return [item for item in found if item.level >= at_least and not item.is_silenced()]


def _words(messages: list[CheckMessage]) -> str:
    return "; ".join(f"{item.id}: {item.msg}" for item in messages)
