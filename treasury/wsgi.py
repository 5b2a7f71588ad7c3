"""The WSGI application of the staging site."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "staging_settings")

application = get_wsgi_application()
