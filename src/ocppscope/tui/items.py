"""A list with a line an item, whose cursor stays on its item when others come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from ocppscope.tui.virtual import VirtualList

if TYPE_CHECKING:
    from collections.abc import Sequence

Item = TypeVar("Item")
Key = tuple[object, ...]
"""What an item is known again by; `()` of one that is not."""


class ItemList(VirtualList, Generic[Item]):
    """Items, one of them under the cursor. What a line says, and what is its key, is its subclass's business."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.items: Sequence[Item] = ()

    def key_of(self, item: Item) -> Key:
        """What the item is known again by."""
        raise NotImplementedError

    @property
    def item(self) -> Item | None:
        """What is under the cursor."""
        return self.items[self.cursor] if self.cursor < len(self.items) else None

    def set_items(self, items: Sequence[Item]) -> bool:
        """Other items; the cursor stays on its own. False if that is gone: then it stays where it was."""
        before = self.item
        self.items = items
        self.forget()
        self.set_count(len(items))
        return before is None or self.put_on(self.key_of(before))

    def put_on(self, key: Key) -> bool:
        """Puts the cursor on the item of a key; False if there is none."""
        at = next((at for at, one in enumerate(self.items) if self.key_of(one) == key), None) if key else None
        if at is not None and at != self.cursor:
            self.move_to(at, tell=False)
        return at is not None
