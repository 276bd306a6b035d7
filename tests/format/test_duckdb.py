"""DuckDB reads the segments of a store: every value as it was written, and the queries of docs/format.md.

FIXPOINT_FORMAT_STORE is a folder named `traces` that the Rust test `other_readers` wrote, and
FIXPOINT_FORMAT_WRITTEN what it says that it wrote. Values get their types back by the rules of
docs/format.md, written down here a second time.
"""

import json
import math
import os
import re
import struct
from collections import Counter, defaultdict
from pathlib import Path

import duckdb
import pytest

STORE = Path(os.environ["FIXPOINT_FORMAT_STORE"])
WRITTEN = json.loads(Path(os.environ["FIXPOINT_FORMAT_WRITTEN"]).read_text())
DOCUMENT = Path(__file__).parents[2] / "docs" / "format.md"


def double(text):
    return ["double", struct.pack(">d", float(text)).hex()]


def of_letter(letter, text):
    return {
        "s": lambda: ["string", text],
        "i": lambda: ["int", int(text)],
        "b": lambda: ["bool", text == "true"],
        "d": lambda: double(text),
        "e": lambda: ["empty", None],
        "y": lambda: ["bytes", list(bytes.fromhex(text))],
        "j": lambda: of_json(json.loads(text)),
    }[letter]()


def of_json(value):
    match value:
        case None:
            return ["empty", None]
        case bool():
            return ["bool", value]
        case int():
            return ["int", value]
        case str():
            return ["string", value]
        case list():
            return ["array", [of_json(one) for one in value]]
        case {"$double": str(text), **rest} if not rest:
            return double(text)
        case {"$bytes": str(text), **rest} if not rest:
            return ["bytes", list(bytes.fromhex(text))]
        case {"$map": dict(inner), **rest} if not rest:
            return ["map", map_of(inner)]
        case dict():
            return ["map", map_of(value)]
    raise AssertionError(f"{value!r} is none of the values that docs/format.md names")


def map_of(json_object):
    return {name: of_json(value) for name, value in json_object.items()}


def attributes(pairs, letters):
    letters = letters or "s" * len(pairs)
    assert len(letters) == len(pairs)
    return {name: of_letter(letter, text) for letter, (name, text) in zip(letters, pairs.items())}


def loads(text, default):
    return json.loads(text) if text else default


def scope(text):
    said = loads(text, {})
    return {
        "name": said.get("name", ""),
        "version": said.get("version", ""),
        "attributes": map_of(said.get("attributes", {})),
    }


def event(said):
    return {
        "time": said["time"],
        "name": said["name"],
        "attributes": map_of(said.get("attributes", {})),
        "dropped": said.get("dropped", 0),
    }


def link(said):
    return {
        "trace_id": said["trace_id"],
        "span_id": said["span_id"],
        "trace_state": said.get("trace_state", ""),
        "flags": said.get("flags", 0),
        "attributes": map_of(said.get("attributes", {})),
        "dropped": said.get("dropped", 0),
    }


def hexed(value):
    return value.hex() if value is not None else None


def span_of(row):
    extra = loads(row["extra"], {})
    return {
        "trace_id": hexed(row["trace_id"]),
        "span_id": hexed(row["span_id"]),
        "parent": hexed(row["parent_span_id"]),
        "name": row["name"],
        "service": row["service"],
        "kind": row["kind"],
        "start": row["start"],
        "end": row["start"] + row["duration"],
        "status": row["status"],
        "status_message": row["status_message"],
        "attributes": attributes(row["attributes"], row["attribute_types"]),
        "events": [event(one) for one in loads(row["events"], [])],
        "links": [link(one) for one in loads(row["links"], [])],
        "dropped_attributes": extra.get("dropped_attributes", 0),
        "dropped_events": extra.get("dropped_events", 0),
        "dropped_links": extra.get("dropped_links", 0),
        "trace_state": extra.get("trace_state", ""),
        "flags": extra.get("flags", 0),
        "scope": scope(row["scope"]),
        "resource": map_of(loads(row["resource"], {})),
    }


def log_of(row):
    extra = loads(row["extra"], {})
    return {
        "trace_id": hexed(row["trace_id"]),
        "span_id": hexed(row["span_id"]),
        "time": row["at"],
        "observed": row["observed"] or 0,
        "severity": row["severity"],
        "severity_text": row["severity_text"],
        "service": row["service"],
        "body": of_letter(row["body_type"], row["body"]),
        "event_name": row["event_name"],
        "flags": extra.get("flags", 0),
        "attributes": attributes(row["attributes"], row["attribute_types"]),
        "dropped_attributes": extra.get("dropped_attributes", 0),
        "scope": scope(row["scope"]),
        "resource": map_of(loads(row["resource"], {})),
    }


def blocks():
    """The SQL of the document, by the heading above each block."""
    sections = re.split(r"^### ", DOCUMENT.read_text(), flags=re.M)[1:]
    return {
        section.split("\n", 1)[0]: section.split("```sql\n")[1].split("```")[0]
        for section in sections
        if "```sql\n" in section
    }


@pytest.fixture
def database(monkeypatch):
    assert STORE.name == "traces", "the document reads from a folder of this name"
    monkeypatch.chdir(STORE.parent)
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(blocks()["Two views"])
    return connection


def rows(database, sql):
    found = database.execute(sql)
    names = [column[0] for column in found.description]
    return [dict(zip(names, row)) for row in found.fetchall()]


def in_order(records):
    return sorted(json.dumps(record, sort_keys=True) for record in records)


def test_every_span_is_as_it_was_written(database):
    found = rows(database, "SELECT *, epoch_ns(start_time) AS start FROM spans")
    assert in_order(map(span_of, found)) == in_order(WRITTEN["spans"])


def test_every_log_line_is_as_it_was_written(database):
    found = rows(
        database,
        "SELECT *, epoch_ns(time) AS at, epoch_ns(observed_time) AS observed FROM logs",
    )
    assert in_order(map(log_of, found)) == in_order(WRITTEN["logs"])


def test_every_column_is_in_the_document(database):
    text = DOCUMENT.read_text()
    for view in ["spans", "logs"]:
        for column in rows(database, f"DESCRIBE {view}"):
            row = re.search(rf"^\| `{column['column_name']}` \| ([^|]+) \|", text, re.M)
            assert row, f"{column['column_name']} is not in the document"


def test_rows_of_a_trace_stand_together_by_start_and_traces_by_theirs(database):
    for file in STORE.glob("segment-????????.parquet"):
        found = rows(database, f"SELECT trace_id, epoch_ns(start_time) AS start FROM '{file}'")
        traces = list(dict.fromkeys(row["trace_id"] for row in found))
        order = {trace: place for place, trace in enumerate(traces)}
        places = [(order[row["trace_id"]], row["start"]) for row in found]
        assert places == sorted(places)
        starts = [(row["start"], row["trace_id"]) for row in reversed(found)]
        first = {trace: start for start, trace in starts}
        assert [(first[trace], trace) for trace in traces] == sorted(
            (start, trace) for trace, start in first.items()
        )


def clusters():
    return [span for span in WRITTEN["spans"] if span["service"] == "clusters"]


def test_the_slowest_operations(database):
    durations = defaultdict(list)
    for span in WRITTEN["spans"]:
        durations[span["service"], span["name"]].append(span["end"] - span["start"])
    expected = {
        operation: (len(all_), sorted(all_)[math.ceil(0.99 * len(all_)) - 1] / 1e6)
        for operation, all_ in durations.items()
    }
    found = rows(database, blocks()["Which operations are slowest"])
    assert len(found) == 20
    p99 = [row["p99_ms"] for row in found]
    assert p99 == sorted(p99, reverse=True)
    assert p99[0] == pytest.approx(max(it[1] for it in expected.values()))
    for row in found:
        calls, p99_ms = expected[row["service"], row["name"]]
        assert (row["calls"], row["p99_ms"]) == (calls, pytest.approx(p99_ms))


def test_errors_by_the_code_that_aws_gave(database):
    expected = Counter(
        (span["name"], span["attributes"]["error.type"][1])
        for span in WRITTEN["spans"]
        if span["status"] == "error" and "error.type" in span["attributes"]
    )
    assert expected
    found = rows(database, blocks()["What AWS refused"])
    assert {(row["call"], row["code"]): row["failures"] for row in found} == expected
    assert all(row["example_request"] for row in found)


def test_calls_of_each_trace(database):
    expected = Counter(
        (span["trace_id"], span["name"]) for span in clusters() if span["kind"] == "client"
    )
    found = rows(database, blocks()["How often each trace made each call"])
    assert {(row["trace"], row["call"]): row["calls"] for row in found} == expected


def test_traces_that_lack_a_call_which_others_have(database):
    found = rows(database, blocks()["Which traces lack a call that others have"])
    traces = {span["trace_id"]: span["start"] for span in clusters()}
    assert [(row["trace"], row["missing"]) for row in found] == [
        (sorted(traces, key=traces.get)[6], "ELBv2.RegisterTargets")
    ]


def test_log_lines_of_a_trace(database):
    trace = "03" * 16
    found = rows(database, blocks()["The log lines of a trace"])
    lines = [log for log in WRITTEN["logs"] if log["trace_id"] == trace]
    expected = [log["body"][1] for log in sorted(lines, key=lambda log: log["time"])]
    assert expected and [row["body"] for row in found] == expected


def test_traces_of_a_resource(database):
    found = rows(database, blocks()["Traces of one region"])
    expected = Counter(
        span["trace_id"]
        for span in WRITTEN["spans"]
        if span["resource"].get("cloud.region") == ["string", "eu-west-1"]
    )
    assert expected and {row["trace"]: row["spans"] for row in found} == expected
