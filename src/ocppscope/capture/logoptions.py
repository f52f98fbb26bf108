"""What a user may say of logs of messages. Light, so that who reads captures loads nothing that reads logs."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ocppscope.model import Side

SenderOf = Callable[[str], Side | None]
"""Who sends an action; None where either side may, or nobody knows it."""


def nobody(action: str) -> Side | None:
    """For who knows no actions."""
    del action
    return None


class LogOptions(NamedTuple):
    """What a user may say of logs, and what is known of actions."""

    dialect: str = ""  # its name, or a file of one's own; "": told by the first lines
    zone: str = ""  # of times without one
    sender_of: SenderOf = nobody
