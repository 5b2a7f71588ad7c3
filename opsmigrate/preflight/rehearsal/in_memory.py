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
from django.utils.functional import cached_property, empty

from opsmigrate.deprecations import without_deprecations
from opsmigrate.mail import mail_settings
from opsmigrate.preflight.rehearsal.cache_in_memory import MEMORY_CACHE, MemoryCache

MAIL = "django.core.mail.backends.locmem.EmailBackend"
# Of a project that names no cache called default.
LOCMEM = "django.core.cache.backends.locmem.LocMemCache"
TASKS = "django.tasks.backends.dummy.DummyBackend"
OVERLAY = "opsmigrate.preflight.rehearsal.in_memory.OverlayStorage"
# Its files come with the release; it is asked for URLs.
STATIC_FILES = "staticfiles"


class OverlayStorage(Storage):
    """Keeps what is written in memory, and reads everything else where it really is.

    Reading a file of this machine works; a storage beyond it is reached through a socket, which
    the fence refuses and reports.
    """

    record: Callable[[str], None] = staticmethod(lambda what: None)

    def __init__(self, real: Mapping[str, Any]) -> None:
        """Take the entry of STORAGES that it stands for."""
        self._given = real
        self._memory: Any = InMemoryStorage()
        self._deleted: set[str] = set()

    @cached_property
    def _real(self) -> Any:
        return StorageHandler().create_storage(dict(self._given))

    def _place_of(self, name: str) -> Any:
        in_memory = name in self._deleted or self._memory.exists(name)
        return self._memory if in_memory else self._real

    def _open(self, name: str, mode: str = "rb") -> Any:
        reads = mode.startswith("r") and "+" not in mode
        return (self._place_of(name) if reads else self._memory).open(name, mode)

    def _save(self, name: str, content: Any) -> str:
        return str(self._memory._save(name, content))

    def delete(self, name: str) -> None:
        """Forget the file here; the real one stays."""
        if self._memory.exists(name):
            self._memory.delete(name)
        self._deleted.add(name)

    def exists(self, name: str) -> bool:
        """Return whether it was written here, or is really there."""
        return bool(self._place_of(name).exists(name))

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """List both places."""
        folders, files = (set(names) for names in self._real.listdir(path))
        if self._memory.exists(path) or not path:
            more_folders, more_files = self._memory.listdir(path)
            folders, files = folders | set(more_folders), files | set(more_files)
        prefix = f"{path.rstrip('/')}/" if path else ""
        files -= {each for each in files if not self.exists(prefix + each)}
        return sorted(folders), sorted(files)

    def path(self, name: str) -> str:
        """Return the real path: what opens it for writing is refused."""
        if self._place_of(name) is self._memory:
            self.record(f"it asks for the path of a stored file that is only in memory: {name}")
        return str(self._real.path(name))

    def size(self, name: str) -> int:
        """Return the size in bytes."""
        return int(self._place_of(name).size(name))

    def url(self, name: str | None) -> str:
        """Return what the real storage says."""
        return str(self._real.url(name))

    def get_accessed_time(self, name: str) -> Any:
        """Return the time of whichever place has it."""
        return self._place_of(name).get_accessed_time(name)

    def get_created_time(self, name: str) -> Any:
        """Return the time of whichever place has it."""
        return self._place_of(name).get_created_time(name)

    def get_modified_time(self, name: str) -> Any:
        """Return the time of whichever place has it."""
        return self._place_of(name).get_modified_time(name)

    def __getattr__(self, name: str) -> Any:
        """Give what only the real storage has; what it does beyond the process is refused."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._real, name)


def keep_in_memory(record: Callable[[str], None]) -> None:
    """Exchange the backends for ones in memory, also where the project has used them by now.

    The settings of caches, tasks and stored files stay as they are: code may look at them, and must
    find what it will find in the real run. `record` hears of what cannot be had from memory.
    """
    OverlayStorage.record = staticmethod(record)
    MemoryCache.record = staticmethod(record)
    with without_deprecations():
        for name, value in mail_settings(MAIL).items():
            setattr(settings, name, value)
    backends = {name: entry["BACKEND"] for name, entry in settings.CACHES.items()}
    _give(
        caches,
        {
            name: {"BACKEND": MEMORY_CACHE, "LOCATION": name, "OPTIONS": {"real": real}}
            for name, real in {"default": LOCMEM, **backends}.items()
        },
    )
    if hasattr(settings, "TASKS"):  # Django 6.0 and later
        from django.tasks import task_backends

        _give(task_backends, {name: {"BACKEND": TASKS} for name in settings.TASKS})
    handler = cast(Any, storages)
    handler._backends = {
        name: real if name == STATIC_FILES else {"BACKEND": OVERLAY, "OPTIONS": {"real": {**real}}}
        for name, real in settings.STORAGES.items()
    }
    handler._storages = {}
    vars(handler).pop("backends", None)
    cast(Any, default_storage)._wrapped = empty


def _give(handler: Any, backends: Mapping[str, Mapping[str, Any]]) -> None:
    """Let a handler of backends (django.utils.connection) have these, and forget those in use."""
    vars(handler).pop("settings", None)
    handler.__init__(backends)
