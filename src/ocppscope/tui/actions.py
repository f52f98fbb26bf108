"""THE table of actions: id, keys, a sentence, a group, and the views in which they work.

Bindings, the footer, the `?` help, the palette, the documentation and the `[keys]` of the configuration file are made
of it. An action is done by the method `do_<id>(count)` of the view that is shown or else of the app; it gives a
sentence to tell, or "".
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

EVERYWHERE = ""
MESSAGES, LADDER, STATIONS, TIMING = "messages", "ladder", "stations", "timing"
FINDINGS, TRANSACTIONS = "findings", "transactions"
VIEWS = (MESSAGES, LADDER, STATIONS, TIMING, FINDINGS, TRANSACTIONS)
"""The tabs, in order."""


class Action(NamedTuple):
    """One thing that a user can do. Keys are spelled as Textual spells them."""

    id: str
    keys: tuple[str, ...]
    label: str  # a word or two, for the footer
    sentence: str
    group: str
    views: tuple[str, ...] = ()  # () everywhere
    footer: bool = False


MOVE, FIND, LOOK, MARK, SHARE = "Move", "Find", "Look", "Marks and notes", "Copy and save"
PROXY, PROGRAM = "Proxy", "Program"

_LISTS = (MESSAGES, LADDER)

_TABLE = (
    # --- Move
    Action("down", ("j", "down"), "down", "One row down.", MOVE),
    Action("up", ("k", "up"), "up", "One row up.", MOVE),
    Action("half_down", ("ctrl+d",), "half down", "Half a page down.", MOVE),
    Action("half_up", ("ctrl+u",), "half up", "Half a page up.", MOVE),
    Action("page_down", ("pagedown", "ctrl+f"), "page down", "A page down.", MOVE),
    Action("page_up", ("pageup", "ctrl+b"), "page up", "A page up.", MOVE),
    Action(
        "first", ("g", "home"), "first", "To the first row; with a number before it, to the row of that number.", MOVE
    ),
    Action(
        "last", ("G", "end"), "last", "To the last row; with a number before it, to the row of that number.", MOVE
    ),
    Action("open", ("enter",), "open", "Into the details or the page; to the message; open or shut a part.", MOVE),
    Action("switch_focus", ("tab", "shift+tab"), "focus", "From the list to the details, and back.", MOVE),
    Action("back", ("escape",), "back", "Cancel what runs; out of the details or the page; back to Messages.", MOVE),
    # --- Find
    Action("filter", ("/", "f3"), "filter", "Type a filter: only what passes it is shown.", FIND, footer=True),
    Action("clear_filter", ("backspace",), "no filter", "Take the filter away.", FIND),
    Action("search", ("f",), "find", "Look for a text in the messages that are shown.", FIND, (MESSAGES,)),
    Action("next_match", ("n",), "next", "To the next message with the text.", FIND, (MESSAGES,)),
    Action("previous_match", ("N",), "previous", "To the previous message with the text.", FIND, (MESSAGES,)),
    Action(
        "next_error",
        ("e",),
        "error",
        "To the next message with an error, or with a finding that is one.",
        FIND,
        _LISTS,
        footer=True,
    ),
    Action(
        "previous_error", ("E",), "error up", "To the previous message with an error or such a finding.", FIND, _LISTS
    ),
    Action(
        "next_warning",
        ("w",),
        "warning",
        "To the next message with a warning, or with a finding that is one.",
        FIND,
        _LISTS,
    ),
    Action(
        "previous_warning",
        ("W",),
        "warning up",
        "To the previous message with a warning or such a finding.",
        FIND,
        _LISTS,
    ),
    Action(
        "next_of_exchange",
        ("o",),
        "answer",
        "To the next message of the exchange, and around.",
        FIND,
        _LISTS,
        footer=True,
    ),
    Action(
        "previous_of_exchange",
        ("O",),
        "exchange up",
        "To the previous message of the exchange.",
        FIND,
        _LISTS,
    ),
    Action("next_slow", (")",), "slow", "To the next slow exchange.", FIND, _LISTS),
    Action("previous_slow", ("(",), "slow up", "To the previous slow exchange.", FIND, _LISTS),
    # --- Look
    Action("show_messages", ("f12",), "messages", "The tab Messages.", LOOK),
    Action("show_ladder", ("f4",), "ladder", "The tab Ladder; from there, back to Messages.", LOOK, footer=True),
    Action(
        "show_findings", ("f5",), "findings", "The tab Findings; from there, back to Messages.", LOOK, footer=True
    ),
    Action("show_stations", ("f7",), "stations", "The tab Stations.", LOOK, footer=True),
    Action("show_timing", ("f8",), "timing", "The tab Timing.", LOOK, footer=True),
    Action("show_transactions", ("f9",), "transactions", "The tab Transactions.", LOOK),
    Action("next_tab", ("]",), "next tab", "The next tab.", LOOK),
    Action("previous_tab", ("[",), "previous tab", "The previous tab.", LOOK),
    Action("raw", ("f6",), "raw", "The details as raw text, and back.", LOOK, footer=True),
    Action(
        "next_page",
        ("v",),
        "details",
        "The next page of the details: JSON, raw, frames, exchange, connection, fields.",
        LOOK,
    ),
    Action("previous_page", ("V",), "details back", "The previous page of the details.", LOOK),
    Action("toggle_detail", ("z",), "hide details", "Show or hide the details.", LOOK),
    Action("move_detail", ("Z",), "move details", "The details to the right, below, or where there is room.", LOOK),
    Action("grow_detail", ("+",), "larger", "More room for the details.", LOOK),
    Action("shrink_detail", ("-",), "smaller", "Less room for the details.", LOOK),
    Action("time_format", ("T",), "time", "The next time format.", LOOK, _LISTS),
    Action("columns", ("f10",), "columns", "Choose the columns.", LOOK, (MESSAGES,), footer=True),
    Action("follow", ("F",), "follow", "Stay at the newest message.", LOOK, (MESSAGES,)),
    Action("pause", ("p",), "pause", "Let the screen stand still while messages keep coming; go on.", LOOK),
    Action("theme", ("ctrl+t",), "theme", "The next theme: dark, light, without colours.", LOOK),
    # --- Look: ladder, stations, findings, transactions, timing
    Action(
        "ladder_heartbeats",
        ("h",),
        "heartbeats",
        "Heartbeats and pings in one row, or one by one.",
        LOOK,
        (LADDER,),
        footer=True,
    ),
    Action("ladder_pings", ("P",), "pings", "With or without pings.", LOOK, (LADDER,)),
    Action("ladder_legs", ("L",), "proxy", "With or without the second leg of what a proxy relays.", LOOK, (LADDER,)),
    Action("ladder_ascii", ("U",), "ASCII", "The ladder in ASCII, or in lines and arrows.", LOOK, (LADDER,)),
    Action("sort_stations", ("s",), "sort", "Sort the stations by something else.", LOOK, (STATIONS,), footer=True),
    Action("reverse_stations", ("S",), "reverse", "Sort the stations the other way round.", LOOK, (STATIONS,)),
    Action(
        "fold_station",
        ("space",),
        "fold",
        "Hide or show the connections of a station.",
        LOOK,
        (STATIONS,),
        footer=True,
    ),
    Action("fold_stations", ("x",), "fold all", "Hide or show the connections of all stations.", LOOK, (STATIONS,)),
    Action(
        "fold_finding",
        ("space",),
        "unfold",
        "Show or hide what is known of a finding: advice, figures, consequences, evidence.",
        LOOK,
        (FINDINGS,),
        footer=True,
    ),
    Action("fold_findings", ("x",), "fold all", "Hide what is shown of all findings, or show it.", LOOK, (FINDINGS,)),
    Action(
        "choose_severity",
        ("s",),
        "severity",
        "Findings of every severity, warnings and errors, errors only.",
        LOOK,
        (FINDINGS,),
        footer=True,
    ),
    Action(
        "choose_station",
        ("S",),
        "station",
        "Only the findings of this station, or of all again.",
        LOOK,
        (FINDINGS,),
        footer=True,
    ),
    Action(
        "sort_transactions",
        ("s",),
        "sort",
        "Sort the transactions by something else.",
        LOOK,
        (TRANSACTIONS,),
        footer=True,
    ),
    Action(
        "reverse_transactions", ("S",), "reverse", "Sort the transactions the other way round.", LOOK, (TRANSACTIONS,)
    ),
    Action("next_transaction", ("right", "l"), "next", "The page of the next transaction.", LOOK, (TRANSACTIONS,)),
    Action(
        "previous_transaction",
        ("left", "h"),
        "previous",
        "The page of the transaction before.",
        LOOK,
        (TRANSACTIONS,),
    ),
    Action("next_chart", ("right", "l"), "next chart", "The next kind of chart.", LOOK, (TIMING,), footer=True),
    Action("previous_chart", ("left", "h"), "previous chart", "The kind of chart before.", LOOK, (TIMING,)),
    Action(
        "fold_figure", ("space",), "unfold", "Show or hide what a figure means, and its stations.", LOOK, (TIMING,)
    ),
    # --- Marks and notes
    Action(
        "mark",
        ("m",),
        "mark",
        "Mark the message with the letter that is typed next; the same letter takes it back.",
        MARK,
    ),
    Action("jump", ("'",), "to mark", "To the message that is marked with the letter that is typed next.", MARK),
    Action("note", (";",), "note", "Write a note on the message.", MARK),
    Action("select", ("space",), "select", "Select the message for a comparison.", MARK, (MESSAGES,)),
    Action(
        "diff",
        ("d",),
        "diff",
        "Compare two selected messages; of one, it and the message under the cursor.",
        MARK,
        (MESSAGES,),
    ),
    # --- Copy and save
    Action("copy", ("y",), "copy", "Copy what is under the cursor, as it is shown (OSC 52).", SHARE),
    Action("copy_json", ("Y",), "copy JSON", "Copy the message's JSON, with control characters as escapes.", SHARE),
    Action("copy_id", ("ctrl+y",), "copy id", "Copy the message's id.", SHARE),
    Action("pager", ("ctrl+o",), "pager", "The message in the pager ($PAGER).", SHARE),
    Action("editor", ("ctrl+e",), "editor", "A copy of the message in the editor ($EDITOR).", SHARE),
    Action("save", ("f2",), "save", "Save messages with findings and notes, redacted or not.", SHARE),
    Action(
        "copy_ladder", ("t",), "copy text", "Copy the ladder as text; with a number, so many rows.", SHARE, (LADDER,)
    ),
    Action(
        "copy_markdown",
        ("D",),
        "copy Markdown",
        "Copy the ladder as Markdown; with a number, so many rows.",
        SHARE,
        (LADDER,),
    ),
    Action(
        "copy_mermaid",
        ("M",),
        "copy Mermaid",
        "Copy the ladder as a Mermaid diagram; with a number, so many rows.",
        SHARE,
        (LADDER,),
        footer=True,
    ),
    Action("save_ladder", ("s",), "save ladder", "Save the ladder: Mermaid, SVG or Markdown.", SHARE, (LADDER,)),
    # --- Proxy
    Action("intercept", ("I",), "hold", "Type a filter: messages that pass it are held.", PROXY),
    Action("show_held", ("i",), "held", "The messages that are held: look, edit, send on, drop.", PROXY),
    Action("forward", ("a",), "send on", "Send the message on that has been held the longest.", PROXY),
    Action("forward_all", ("A",), "send all on", "Send everything on that is held.", PROXY),
    Action("drop", ("X",), "drop", "Drop the message that has been held the longest.", PROXY),
    Action("inject", ("C",), "new CALL", "Send a CALL of your own to a station or to its CSMS.", PROXY),
    Action("show_links", ("c",), "connections", "The connections through the proxy; end one.", PROXY),
    # --- Program
    Action("command", (":",), "command", "Type a row number, @filter or the name of an action.", PROGRAM),
    Action("notices", ("!",), "notices", "What was noticed while the capture was read.", PROGRAM),
    Action("palette", ("ctrl+p",), "palette", "Look for an action by its name.", PROGRAM),
    Action("help", ("?", "f1"), "help", "All keys.", PROGRAM),
    Action("quit", ("q",), "quit", "Leave.", PROGRAM),
)

ACTIONS: Mapping[str, Action] = MappingProxyType({action.id: action for action in _TABLE})
"""Actions by id."""


def for_key(keys: Mapping[str, tuple[str, ...]], key: str, view: str) -> Action | None:
    """What a key does in a view."""
    for action in ACTIONS.values():
        if key in keys.get(action.id, ()) and (not action.views or view in action.views):
            return action
    return None


def keys_of(rebound: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """The keys of every action, with those of the configuration in place of the usual ones.

    A key that the configuration gives to an action is taken from the others.
    """
    taken = {key for keys in rebound.values() for key in keys}
    return {
        action.id: rebound[action.id]
        if action.id in rebound
        else tuple(key for key in action.keys if key not in taken)
        for action in ACTIONS.values()
    }


_SHOWN = {
    "pagedown": "PgDn", "pageup": "PgUp", "space": "Space", "enter": "Enter", "escape": "Esc", "tab": "Tab",
    "backspace": "Backspace", "home": "Home", "end": "End", "up": "↑", "down": "↓", "left": "←", "right": "→",
}  # fmt: skip


def shown_key(key: str) -> str:
    """A key as people write it."""
    *modifiers, last = key.split("+") if len(key) > 1 else [key]
    last = _SHOWN.get(last, last.upper() if last[:1] == "f" and last[1:].isdigit() else last)
    return "+".join([*(one.capitalize() for one in modifiers), last])
