"""`ocppscope note`: marks and notes on messages, as the keys m and ; have them on the screens."""

# ruff: noqa: PLC0415 (imported when it is needed, so that --help stays quick)

from __future__ import annotations

import click

from ocppscope.cli.parameters import Reading, filtering, reading


@click.command("note")
@reading
@filtering
@click.option("--add", "text", metavar="TEXT", help="Write this note to each message that passes the filter.")
@click.option("--mark", metavar="LETTER", help="Mark each message that passes the filter with this letter or name.")
@click.option("--remove", is_flag=True, help="Take back the notes and marks of the messages that pass the filter.")
def command(
    read: Reading,
    wanted: str,
    text: str | None,
    mark: str | None,
    remove: bool,
) -> None:
    """List the notes on the messages of a capture or log, or change them. They are kept in a file beside it.

    \b
      ocppscope note field.pcapng
      ocppscope note field.pcapng -Y 'row == 17' --add "here the meter steps back"
      ocppscope note field.pcapng -Y 'action == StopTransaction' --mark s

    The screens show them, and every export carries them.
    """
    from ocppscope.cli.noting import NoteRequest, run_note

    run_note(
        NoteRequest(
            read.named,
            read.options(),
            wanted,
            text=text,
            mark=mark,
            remove=remove,
        )
    )
