"""How a number of things is said."""


def counted(count: int, noun: str) -> str:
    """`1 message`, `2,000 messages`, `0 messages`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
