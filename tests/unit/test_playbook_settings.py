"""OPSMIGRATE["PLAYBOOK"] and JOURNAL_DIR: what is taken, and the words for what is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from opsmigrate.conf import load_settings, load_webhook_key
from opsmigrate.errors import SettingsError

SECRET = "https://chat.example.org/secret-part"
KEY = "a key that only both sides have"


def test_the_defaults_do_nothing(settings: Any) -> None:
    settings.OPSMIGRATE = {}

    found = load_settings()

    assert found.journal_dir == Path("reports")
    assert (dict(found.playbook.before), found.playbook.webhook) == ({}, None)


def test_commands_are_lists_of_words(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPSMIGRATE_WEBHOOK_KEY", KEY)
    hooks = {"BEFORE": {"migrate": [["touch", "a b"], ("true",)]}, "WEBHOOK": SECRET}
    settings.OPSMIGRATE = {"PLAYBOOK": hooks, "JOURNAL_DIR": "here"}

    found = load_settings()

    assert found.playbook.before == {"migrate": (("touch", "a b"), ("true",))}
    assert found.journal_dir == Path("here")
    assert load_webhook_key() == KEY.encode()
    assert KEY not in repr(found)


@pytest.mark.parametrize(
    ("playbook", "words"),
    [
        ({"BEFORE": {"migrate": ["touch x"]}}, "no lists of words"),
        ({"BEFORE": {"migrate": "touch x"}}, "no lists of words"),
        ({"AFTER": {"migrate": [[]]}}, "no lists of words"),
        ({"AFTER": {"migration": [["true"]]}}, "has AFTER of 'migration'"),
        ({"AFTER": []}, "which is not a dict"),
        ({"BEFOR": {}}, "has the unknown key 'BEFOR'"),
        ({"WEBHOOK": "file:///etc/passwd", "WEBHOOK_KEY": KEY}, "a WEBHOOK that is no URL"),
        ({"WEBHOOK": SECRET}, "no WEBHOOK_KEY"),
        ({"WEBHOOK": SECRET, "WEBHOOK_KEY": "short"}, "fewer than 16 bytes"),
    ],
)
def test_what_cannot_be_used_is_said(settings: Any, playbook: Any, words: str) -> None:
    settings.OPSMIGRATE = {"PLAYBOOK": playbook}

    with pytest.raises(SettingsError) as refused:
        load_settings()

    assert words in str(refused.value)
    assert "secret-part" not in str(refused.value) + str(refused.value.hint)
