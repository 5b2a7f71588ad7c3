"""Sessions are kept by alias, whatever database the settings name by then."""

from collections import defaultdict
from typing import Any, ClassVar

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's own, but that close() gives the session back to the pool of its alias."""

    idle: ClassVar[defaultdict[str, list[Any]]] = defaultdict(list)

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Return an idle session of this alias, or a new one."""
        sessions = self.idle[self.alias]
        while sessions:
            session = sessions.pop()
            if not session.closed:
                return session
        return super().get_new_connection(conn_params)

    def _close(self) -> None:
        if self.connection is not None:
            self.idle[self.alias].append(self.connection)
