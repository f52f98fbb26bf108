"""The messages that views post to the app. They carry numbers of rows or findings, never widgets or texts."""

from __future__ import annotations

from textual.message import Message


class RowChosen(Message):
    """The cursor of a view stands on another row: details follow it."""

    def __init__(self, row: int) -> None:
        self.row = row
        super().__init__()


class RowOpened(Message):
    """A row was opened (Enter, or a click on the row of the cursor): the user wants to see it in the list."""

    def __init__(self, row: int) -> None:
        self.row = row
        super().__init__()


class FindingWanted(Message):
    """A finding was chosen elsewhere: the user wants to see it among the findings. `number` is that of the report."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__()


class FilterWanted(Message):
    """A view asks for a filter, as if the user had typed it (a station was chosen, a bin of a chart)."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__()
