"""A mistake of ours on the screens ends them, and prints nothing of what was in memory."""

from __future__ import annotations

import pytest
from support_scope import ScopeSession

from ocppscope.tui.app import Scope

SECRET = "AuthorizationKey-hunter2"


class Broken(Scope):
    """Fails while it holds a secret."""

    def on_mount(self) -> None:
        secret = SECRET
        raise RuntimeError(f"this is a bug, of {len(secret)} characters")


@pytest.mark.parametrize("debug", [False, True])
def test_a_bug_is_raised_and_no_memory_is_shown(capfd, monkeypatch, debug):
    if debug:
        monkeypatch.setenv("TEXTUAL", "debug")
        monkeypatch.setenv("OCPPSCOPE_DEBUG", "1")
    with pytest.raises(RuntimeError, match="this is a bug"):
        Broken(ScopeSession()).run(headless=True)
    shown = "".join(capfd.readouterr())
    assert SECRET not in shown
    assert "Traceback" not in shown
