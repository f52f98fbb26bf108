"""Makes the pictures of the screens in docs/pictures/: the real screens, of captures of this project.

    python docs/pictures.py [NAME...]

A picture is the SVG that Textual makes of its own screen. Fonts are the reader's: nothing is loaded from elsewhere.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ocppscope.cli.loading import session_of
from ocppscope.options import Options
from ocppscope.tui.app import Scope
from ocppscope.tui.settings import Settings, key_name

if TYPE_CHECKING:
    from textual.pilot import Pilot

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
PATIENCE_S = 60.0
"""How long a capture may take to be read on a busy machine."""

_FONTS = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)


class Picture(NamedTuple):
    """What is on a picture: a capture, a filter, and the keys that lead there."""

    capture: str
    keys: tuple[str, ...] = ()
    filter: str = ""
    size: tuple[int, int] = (104, 30)


ALL = {
    "messages": Picture("remote_start_stop", ("j",) * 14),
    "ladder": Picture("remote_start_stop", ("f4", *("j",) * 13)),
    "findings": Picture("broken_transactions", ("f5",)),
    "stations": Picture("several_stations", ("f7",)),
    "timing": Picture("slow_and_missing", ("f8",)),
    "transactions": Picture("remote_start_stop", ("f9", "enter")),
    "filter": Picture("slow_and_missing", filter="latency > 2s"),
}


async def picture(wanted: Picture, folder: Path) -> str:
    """A picture as SVG. The capture is read from a copy in `folder`, so that no notes of yours are in it."""
    capture = folder / f"{wanted.capture}.pcap"
    capture.write_bytes((ROOT / "captures" / capture.name).read_bytes())
    scope = Scope(session_of([str(capture)], Options()), Settings(), filter_text=wanted.filter)
    async with scope.run_test(size=wanted.size) as pilot:
        await _read(scope, pilot)
        for key in wanted.keys:
            await pilot.press(key_name(key))
        await _settled(scope, pilot)
        return _FONTS.sub("", scope.export_screenshot(title=f"ocppscope {wanted.capture}.pcap"))


async def _read(scope: Scope, pilot: Pilot[None]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not scope.session.progress().done:
            await pilot.pause(0.05)
    await _settled(scope, pilot)


async def _settled(scope: Scope, pilot: Pilot[None]) -> None:
    """Until no thread works and everything is drawn."""
    for _ in range(5):
        await pilot.pause(0.1)
        await scope.workers.wait_for_complete()


def main(names: list[str]) -> None:
    """Writes the pictures of these names, or all."""
    PICTURES.mkdir(exist_ok=True)
    for name in names or ALL:
        with tempfile.TemporaryDirectory() as folder:
            text = asyncio.run(picture(ALL[name], Path(folder)))
        (PICTURES / f"{name}.svg").write_text(text, "utf-8")
        print(f"{name}.svg: {len(text.encode()):,} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
