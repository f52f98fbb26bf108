"""What leaves the screen: safe text for clipboard, pager and editor."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ocppscope.render import jsonl, styled
from ocppscope.render.wiretext import visible, visible_bytes

if TYPE_CHECKING:
    from ocppscope.model import Message
    from ocppscope.tui.pages import Subject

MAX_COPY = 1 << 18
"""Bytes of a message that go to the clipboard; many terminals take less."""
MAX_LAID_OUT = 1 << 20
"""Characters of a message that go to the pager or the editor."""
MAX_LINE = 10_000
"""Characters of one line of these."""


def json_text(message: Message) -> str:
    """The message on one line, with everything escaped that is no printable character."""
    return visible_bytes(message.text, MAX_COPY)


def laid_out(subject: Subject) -> str:
    """The message over several lines, for the pager and the editor."""
    message = subject.message
    text = jsonl.indented(message.text)
    if text is None:
        return visible_bytes(message.text, MAX_LAID_OUT) + "\n"
    return "".join(f"{visible(line, MAX_LINE)}\n" for line in text.split("\n"))


def page(text: str) -> None:
    """Shows a text in the pager, in place of the screen; raises `OSError`."""
    command = shlex.split(os.environ.get("PAGER", "") or "less")
    subprocess.run(command, input=text.encode("utf-8", "replace"), check=False)


def edit(text: str, suffix: str = ".json") -> None:
    """Opens a copy of a text in the editor; raises `OSError`. What is changed there changes nothing here."""
    command = shlex.split(os.environ.get("VISUAL", "") or os.environ.get("EDITOR", "") or "vi")
    with tempfile.TemporaryDirectory(prefix="ocppscope-") as directory:
        path = Path(directory) / f"message{suffix}"
        path.write_text(text, encoding="utf-8", errors="replace")
        path.chmod(0o400)
        subprocess.run([*command, str(path)], check=False)


def plain(line: styled.Line) -> str:
    """A shown line as text."""
    return styled.plain(line).strip()


def safe(text: str) -> str:
    """A text of a peer as it is shown, all of it."""
    return visible(text, MAX_COPY)
