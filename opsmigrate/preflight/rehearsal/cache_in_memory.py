"""The cache that a rehearsal gives the project's code: in memory, with what its own backend has."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from fnmatch import fnmatchcase
from threading import RLock
from typing import Any

from django.core.cache.backends.locmem import LocMemCache
from django.utils.module_loading import import_string

MEMORY_CACHE = "opsmigrate.preflight.rehearsal.cache_in_memory.MemoryCache"


class MemoryCache(LocMemCache):
    """Django's cache in memory; what only the project's backend has is imitated or refused.

    `OPTIONS["real"]` names the backend that it stands for. The methods that django-redis and its
    like add to Django's are kept in memory too.
    """

    record: Callable[[str], None] = staticmethod(lambda what: None)

    def __init__(self, name: str, params: dict[str, Any]) -> None:
        options = dict(params.get("OPTIONS") or {})
        self._backend = options.pop("real")
        super().__init__(name, {**params, "OPTIONS": options})

    def __getattr__(self, name: str) -> Any:
        """Return what only the project's backend has, or record that memory has no such thing."""
        if name.startswith("_") or not hasattr(import_string(self._backend), name):
            raise AttributeError(f"{self._backend!r} has no attribute {name!r}")
        in_memory = BESIDES.get(name)
        if in_memory is not None:
            return lambda *args, **kwargs: in_memory(self, *args, **kwargs)
        self.record(f"it uses {name} of the cache, which a cache in memory does not have")
        raise AttributeError(f"a cache in memory has no attribute {name!r}")

    def matching(self, pattern: str, version: int | None = None) -> list[str]:
        """Return the keys that a pattern of the shell's fits, as they were given."""
        wanted = self.make_key(pattern, version)
        prefix = wanted[: len(wanted) - len(pattern)]
        with self._lock:
            made = [key for key in self._cache if fnmatchcase(key, wanted)]
        return [key[len(prefix) :] for key in made]


def _delete_pattern(
    cache: MemoryCache, pattern: str, version: int | None = None, **kwargs: Any
) -> int:
    return sum(cache.delete(key, version) for key in cache.matching(pattern, version))


def _keys(cache: MemoryCache, search: str = "*", version: int | None = None) -> list[str]:
    return cache.matching(search, version)


def _iter_keys(
    cache: MemoryCache, search: str = "*", version: int | None = None, **kwargs: Any
) -> Iterator[str]:
    return iter(cache.matching(search, version))


def _expire(
    cache: MemoryCache, key: str, timeout: float | None, version: int | None = None
) -> bool:
    return cache.touch(key, timeout, version)


def _persist(cache: MemoryCache, key: str, version: int | None = None) -> bool:
    return cache.touch(key, None, version)


def _lock(cache: MemoryCache, *args: Any, **kwargs: Any) -> AbstractContextManager[bool]:
    return RLock()


BESIDES: dict[str, Callable[..., Any]] = {
    "delete_pattern": _delete_pattern,
    "expire": _expire,
    "iter_keys": _iter_keys,
    "keys": _keys,
    "lock": _lock,
    "persist": _persist,
}
