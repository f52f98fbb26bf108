"""Parquet: what pyarrow reads back, what DuckDB reads back, and what happens where pyarrow is missing."""

from __future__ import annotations

import io
import json
import sys

import pytest
from support_export import (
    CAPTURES,
    NOTED,
    Given,
    capture_evidence,
    hostile,
    message,
    noted_evidence,
    rows_of,
    written,
)

from ocppscope.errors import UsageError
from ocppscope.export import parquet as form

pyarrow = pytest.importorskip("pyarrow")


def read(content: bytes):
    import pyarrow.parquet

    return pyarrow.parquet.ParquetFile(io.BytesIO(content))


def keyed(evidence) -> list[dict]:
    lines = written("jsonl", evidence).decode().splitlines()
    return [one for line in lines if (one := json.loads(line))["type"] == "message"]


def test_types(tmp_path):
    schema = read(written("parquet", noted_evidence(tmp_path))).schema_arrow
    kinds = {field.name: str(field.type) for field in schema}
    assert kinds["time"] == "timestamp[ns, tz=UTC]"
    assert kinds["latency_ns"] == "int64"
    assert kinds["action"] == "dictionary<values=string, indices=int32, ordered=0>"
    assert kinds["packets"] == "list<element: int64>"
    assert "struct<rule: string not null, severity" in kinds["findings"]
    assert not schema.field("text").nullable


@pytest.mark.parametrize("name", ["remote_start_stop", "malformed", "ocpp16_deflate", "ocpp21_send"])
def test_the_rows_of_jsonl(name):
    evidence = capture_evidence(CAPTURES / f"{name}.pcap", findings=True)
    table = read(written("parquet", evidence)).read()
    moments = table["time"].cast("int64").to_pylist()
    rows = table.drop_columns(["time"]).to_pylist()
    expected = keyed(evidence)
    assert len(rows) == len(expected) > 0
    assert moments == [one.pop("time_ns") for one in expected]
    for made, one in zip(rows, expected, strict=True):
        octets = made.pop("text_bytes")
        assert (octets is not None) == ("text_base64" in one)
        for key in ("type", "text_base64"):
            one.pop(key, None)
        assert {key: value for key, value in made.items() if value is not None and (key != "findings" or value)} == {
            key: value for key, value in one.items() if value is not None
        }


def test_duckdb_reads_it(tmp_path):
    duckdb = pytest.importorskip("duckdb")
    path = tmp_path / "a.parquet"
    path.write_bytes(written("parquet", noted_evidence(tmp_path)))
    table = f"read_parquet('{path}')"
    assert duckdb.sql(f"select count(*), max(latency_ns) from {table}").fetchall()[0][0] == 48
    noted = duckdb.sql(f"select action, mark, note from {table} where note is not null").fetchall()
    assert noted == [("StartTransaction", "a", NOTED)]
    found = duckdb.sql(f"select findings[1].rule from {table} where len(findings) > 0").fetchall()
    assert found == [("tx-very-short",)]


def test_groups_are_bounded(monkeypatch):
    monkeypatch.setattr(form, "MAX_GROUP_ROWS", 4)
    rows = hostile()
    metadata = read(written("parquet", rows)).metadata
    assert {metadata.row_group(n).num_rows for n in range(metadata.num_row_groups - 1)} == {4}
    monkeypatch.setattr(form, "MAX_GROUP_ROWS", 1 << 13)
    monkeypatch.setattr(form, "MAX_GROUP_BYTES", 1)
    assert read(written("parquet", rows)).metadata.num_row_groups > 0.9 * len(rows_of(rows))
    assert metadata.row_group(0).column(0).compression == "ZSTD"


def test_hostile_texts(tmp_path):
    evidence = hostile()
    content = written("parquet", evidence)
    rows = read(content).read().drop_columns(["time"]).to_pylist()
    for row, made in zip(rows_of(evidence), rows, strict=True):
        octets = row.message.text
        assert made["text"] == octets.decode("utf-8", "replace")
        assert made["text_bytes"] == (None if made["text"].encode() == octets else octets)
        assert made["id"] == row.message.id.replace("\ud800", "\ufffd")
    path = tmp_path / "a.parquet"
    path.write_bytes(content)
    texts = list(form.texts(str(path)))
    said = {*(made["note"] for made in rows if made["note"]), *(made["id"] for made in rows)}
    said |= {one["text"] for made in rows for one in (*made["problems"], *made["findings"])}
    assert said <= set(texts)


def test_the_same_evidence_gives_the_same_bytes():
    assert written("parquet", hostile()) == written("parquet", hostile())


def test_nothing_is_still_a_table():
    assert read(written("parquet", Given([]))).read().num_rows == 0


def test_without_pyarrow(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError) as caught:
        written("parquet", Given([message]))
    assert "pip install 'ocppscope[parquet]'" in str(caught.value.hint)
