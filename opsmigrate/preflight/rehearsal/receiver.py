"""Which receiver of migrate's signals is running, found in the stack."""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from types import FrameType
from typing import Any

from django.db.models.signals import post_migrate, pre_migrate
from django.dispatch import Signal

SENDS = {Signal.send.__code__, Signal.send_robust.__code__}


def receiver_running(frame: FrameType | None) -> str | None:
    """Return the dotted name of the receiver that has led to this frame, None where none has."""
    return _receiver(each for each, _ in traceback.walk_stack(frame))


def receiver_of(error: BaseException) -> str | None:
    """Return the dotted name of the receiver that raised this, None where none did."""
    return _receiver(each for each, _ in traceback.walk_tb(error.__traceback__))


def _receiver(frames: Iterable[FrameType]) -> str | None:
    for frame in frames:
        # Of Django's own loop over the receivers, in each of its releases.
        receiver: Any = frame.f_locals.get("receiver") if frame.f_code in SENDS else None
        if receiver is not None and frame.f_locals.get("self") in (pre_migrate, post_migrate):
            named = receiver if hasattr(receiver, "__qualname__") else type(receiver)
            return f"{named.__module__}.{named.__qualname__}"
    return None
