"""Parquet: a table of messages with typed columns, for data tools. Needs pyarrow, which `ocppscope[parquet]` brings.

Rows are written in groups of bounded size; the same evidence gives the same bytes with the same pyarrow.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from ocppscope.errors import UsageError
from ocppscope.export.evidence import Row
from ocppscope.export.names import Names
from ocppscope.render.formats import KIND_NAMES, SIDES, Known

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import BinaryIO

    from ocppscope.export.evidence import Evidence
    from ocppscope.export.writing import Job
    from ocppscope.model import Message

MAX_GROUP_ROWS = 1 << 13
"""Rows of a row group."""
MAX_GROUP_BYTES = 1 << 22
"""Bytes of messages after which a row group ends, however few its rows are."""
SCANNED_ROWS = 1024
"""Rows that are looked at together in the scan for leaks."""
COMPRESSION, LEVEL = "zstd", 1
_OPTIONS = {"compression": COMPRESSION, "compression_level": LEVEL, "use_dictionary": True, "write_statistics": True}


def write(evidence: Evidence, out: BinaryIO, job: Job) -> None:
    """Writes the table. Raises UsageError where pyarrow is missing, OcppscopeError."""
    arrow = _arrow()
    columns = _columns(arrow)
    schema = arrow.schema([arrow.field(name, kind, nullable=nullable) for name, kind, nullable, _ in columns])
    names = Names(evidence)
    group = _Group([], [], [])
    size = 0
    with arrow.parquet.ParquetWriter(out, schema, **_OPTIONS) as writer:
        for item in job.through(evidence.items()):
            if type(item) is not Row:
                names.learn(item)
                continue
            message = item.message
            group.rows.append(item)
            group.messages.append(message)
            group.known.append(names.of(message.connection))
            size += len(message.text)
            if len(group.rows) >= MAX_GROUP_ROWS or size >= MAX_GROUP_BYTES:
                writer.write_table(_table(arrow, schema, columns, group))
                group, size = _Group([], [], []), 0
        if group.rows:
            writer.write_table(_table(arrow, schema, columns, group))


def texts(path: str) -> Iterator[str]:
    """Every text in a written file, for the scan for leaks."""
    arrow = _arrow()
    with arrow.parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=SCANNED_ROWS):
            for column in batch.columns:
                yield from _texts_in(column.to_pylist())


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, bytes):
        yield value.decode("utf-8", "replace")
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts_in(one)
    elif isinstance(value, dict):
        yield from _texts_in(list(value.values()))


def _arrow() -> Any:
    """pyarrow with its Parquet part; 0.2 s that only this form is worth."""
    try:
        import pyarrow  # noqa: PLC0415
        import pyarrow.parquet  # noqa: PLC0415
    except ImportError:
        raise UsageError(
            "Parquet needs pyarrow, which is not installed.", "Run pip install 'ocppscope[parquet]', or take csv."
        ) from None
    return pyarrow


# --- columns --------------------------------------------------------------------------------------------------------


class _Group(NamedTuple):
    """The rows of a row group, their messages, and what is known of their connections."""

    rows: list[Row]
    messages: list[Message]
    known: list[Known]


class _Column(NamedTuple):
    """A column: its type, and its values in a group."""

    name: str
    type: Any
    nullable: bool
    values: Callable[[_Group], Sequence[Any]]


def _columns(arrow: Any) -> tuple[_Column, ...]:
    """The columns, named as the keys of docs/jsonl.md."""
    text, number, small, flag = arrow.string(), arrow.int64(), arrow.int32(), arrow.bool_()
    few = arrow.dictionary(arrow.int32(), text)

    def texts_of(*parts: str) -> Any:
        return arrow.list_(arrow.struct([arrow.field(part, text, nullable=False) for part in parts]))

    def of_message(name: str, kind: Any, nullable: bool = False) -> _Column:
        get = attrgetter(name)
        return _Column(name, kind, nullable, lambda group: list(map(get, group.messages)))

    return (
        _Column("row", number, False, lambda group: [row[0] for row in group.rows]),
        of_message("connection", number),
        of_message("time_ns", arrow.timestamp("ns", "UTC"))._replace(name="time"),
        _Column("station", few, False, lambda group: [known[0] for known in group.known]),
        _Column("version", few, False, lambda group: [known[1] for known in group.known]),
        _Column("version_guessed", flag, False, lambda group: [known[2] for known in group.known]),
        _Column("side", few, False, lambda group: [SIDES[one.side] for one in group.messages]),
        _Column("kind", few, False, lambda group: [KIND_NAMES[one.kind] for one in group.messages]),
        of_message("id", text),
        of_message("action", few),
        of_message("latency_ns", number, nullable=True),
        of_message("outcome", few),
        of_message("ordinal", number),
        of_message("reply_to", number, nullable=True),
        of_message("text", text),
        _Column("problems", texts_of("code", "text", "path"), False, _problems),
        of_message("packets", arrow.list_(number)),
        of_message("wire_size", number),
        of_message("frames", small),
        of_message("compressed", flag),
        of_message("binary", flag),
        _Column("text_bytes", arrow.binary(), True, lambda group: [_undecodable(one.text) for one in group.messages]),
        _Column("findings", texts_of("rule", "severity", "text"), False, _findings),
        _Column("mark", text, True, lambda group: [row[3].mark or None for row in group.rows]),
        _Column("note", text, True, lambda group: [row[3].note or None for row in group.rows]),
    )


def _problems(group: _Group) -> list[tuple[dict[str, str], ...]]:
    return [
        tuple({"code": one.code, "text": one.text, "path": one.path} for one in message.problems)
        if message.problems
        else ()
        for message in group.messages
    ]


def _findings(group: _Group) -> list[tuple[dict[str, str], ...]]:
    return [
        tuple({"rule": one.rule, "severity": one.severity, "text": text} for one, text in row[2]) if row[2] else ()
        for row in group.rows
    ]


def _undecodable(octets: bytes) -> bytes | None:
    """Octets that are no UTF-8."""
    if octets.isascii():
        return None
    try:
        octets.decode()
    except UnicodeDecodeError:
        return octets
    return None


def _table(arrow: Any, schema: Any, columns: tuple[_Column, ...], group: _Group) -> Any:
    arrays = [_array(arrow, one.type, one.values(group)) for one in columns]
    return arrow.Table.from_arrays(arrays, schema=schema)


def _array(arrow: Any, kind: Any, values: Sequence[Any]) -> Any:
    """Arrow's array; text that it refuses (lone surrogates, bytes that are no UTF-8) is replaced."""
    plain = kind.value_type if arrow.types.is_dictionary(kind) else kind
    try:
        made = arrow.array(values, plain)
    except (UnicodeEncodeError, arrow.ArrowInvalid):
        made = arrow.array([_sound(one) for one in values], plain)
    return made if plain is kind else made.dictionary_encode()


def _sound(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, tuple):
        return tuple(map(_sound, value))
    if isinstance(value, dict):
        return {name: _sound(one) for name, one in value.items()}
    return value
