"""What a rehearsal gives the project's code instead of its mail, caches, tasks and stored files."""

from collections.abc import Callable, Mapping
from typing import Any, cast

from django.conf import settings
from django.core.cache import caches
from django.core.files.storage import (
    InMemoryStorage,
    Storage,
    StorageHandler,
    default_storage,
    storages,
)
from django.utils.functional import empty

MAIL = "django.core.mail.backends.locmem.EmailBackend"
CACHE = "django.core.cache.backends.locmem.LocMemCache"
TASKS = "django.tasks.backends.dummy.DummyBackend"
OVERLAY = "opsmigrate.preflight.in_memory.OverlayStorage"
# Its files come with the release; it is asked for URLs.
STATIC_FILES = "staticfiles"


class OverlayStorage(InMemoryStorage):
    """Keeps what is written in memory, and reads everything else where it really is.

    Reading a file of this machine works; a storage beyond it is reached through a socket, which
    the fence refuses and reports.
    """

    tell: Callable[[str], None] = staticmethod(lambda what: None)

    def __init__(self, real: Mapping[str, Any]) -> None:
        """Take the entry of STORAGES that it stands for."""
        super().__init__()
        self._given = real
        self._underneath: Storage | None = None
        self._deleted: set[str] = set()

    @property
    def _real(self) -> Storage:
        if self._underneath is None:
            self._underneath = StorageHandler().create_storage(dict(self._given))
        return self._underneath

    def _is_ours(self, name: str) -> bool:
        return name in self._deleted or super().exists(name)

    def _open(self, name: str, mode: str = "rb") -> Any:
        if self._is_ours(name) or not mode.startswith("r") or "+" in mode:
            return cast(Any, super())._open(name, mode)
        return self._real.open(name, mode)

    def _save(self, name: str, content: Any) -> str:
        self._deleted.discard(name)
        return str(cast(Any, super())._save(name, content))

    def delete(self, name: str) -> None:
        """Forget the file here; the real one stays."""
        if super().exists(name):
            super().delete(name)
        self._deleted.add(name)

    def exists(self, name: str) -> bool:
        """Say whether it was written here, or is really there."""
        return super().exists(name) or (name not in self._deleted and self._real.exists(name))

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """List both places."""
        folders, files = (set(names) for names in self._real.listdir(path))
        if super().exists(path):
            more_folders, more_files = super().listdir(path)
            folders, files = folders | set(more_folders), files | set(more_files)
        prefix = f"{path.rstrip('/')}/" if path else ""
        return sorted(folders), sorted(
            each for each in files if not self._is_deleted(prefix + each)
        )

    def _is_deleted(self, name: str) -> bool:
        return name in self._deleted and not super().exists(name)

    def path(self, name: str) -> str:
        """Return the real path: what opens it for writing is refused."""
        if self._is_ours(name):
            self.tell(f"it asks for the path of a stored file that is only in memory: {name}")
        return self._real.path(name)

    def size(self, name: str) -> int:
        """Return the size in bytes."""
        return super().size(name) if self._is_ours(name) else self._real.size(name)

    def url(self, name: str | None) -> str:
        """Return what the real storage says."""
        return self._real.url(name)

    def get_accessed_time(self, name: str) -> Any:
        """Return the time of whichever place has it."""
        return self._place_of(name).get_accessed_time(name)

    def get_created_time(self, name: str) -> Any:
        """Return the time of whichever place has it."""
        return self._place_of(name).get_created_time(name)

    def get_modified_time(self, name: str) -> Any:
        """Return the time of whichever place has it."""
        return self._place_of(name).get_modified_time(name)

    def _place_of(self, name: str) -> Any:
        return super() if self._is_ours(name) else self._real

    def __getattr__(self, name: str) -> Any:
        """Give what only the real storage has; what it does beyond the process is refused."""
        if name.startswith("__") or name in ("_given", "_underneath"):
            raise AttributeError(name)
        return getattr(self._real, name)


def keep_in_memory(tell: Callable[[str], None]) -> None:
    """Exchange the backends for ones in memory, also where the project has used them by now.

    `tell` hears of what cannot be had from memory.
    """
    OverlayStorage.tell = staticmethod(tell)
    if hasattr(settings, "MAILERS"):  # Django 6.1 and later; they are made anew for each mail
        mailers: Any = getattr(settings, "MAILERS")  # noqa: B009 - the stubs do not know it
        setattr(settings, "MAILERS", {name: {"BACKEND": MAIL} for name in mailers})  # noqa: B010
    else:
        settings.EMAIL_BACKEND = MAIL
    settings.CACHES = {
        name: {"BACKEND": CACHE, "LOCATION": name} for name in (*settings.CACHES, "default")
    }
    _forget(caches)
    if hasattr(settings, "TASKS"):  # Django 6.0 and later
        from django.tasks import task_backends

        settings.TASKS = {name: {"BACKEND": TASKS} for name in settings.TASKS}
        _forget(task_backends)
    settings.STORAGES = {
        name: real if name == STATIC_FILES else {"BACKEND": OVERLAY, "OPTIONS": {"real": {**real}}}
        for name, real in settings.STORAGES.items()
    }
    handler = cast(Any, storages)
    handler._backends, handler._storages = None, {}
    vars(handler).pop("backends", None)
    cast(Any, default_storage)._wrapped = empty


def _forget(handler: Any) -> None:
    """Let a handler of backends (django.utils.connection) read its settings again."""
    vars(handler).pop("settings", None)
    handler.__init__()
