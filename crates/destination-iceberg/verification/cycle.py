"""One cycle of a table: written, upserted, with deletions, with a new column, maintained; read by other people's readers after
each step. Knows no catalog and no store."""

import json
import os
import subprocess

from tables import compare

# Maintenance that leaves nothing for later, but for old snapshots, and the rest of it.
COMPACTION = ["--small-file-percent=100", "--remove-orphans-after-hours=0"]
EXPIRY = ["--expire-after-hours=0", "--keep-snapshots=1"]


def run(binary, verb, config, folder, *arguments, lines=None, environment=None):
    """Runs a verb, which has to succeed, and returns its messages."""
    path = folder / "destination.json"
    path.write_text(json.dumps(config))
    source = lines.open("rb") if lines else subprocess.DEVNULL
    done = subprocess.run([binary, verb, "--config", str(path), *arguments], stdin=source, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})})
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return [json.loads(line) for line in done.stdout.split("\n") if line]


def item(data):
    return json.dumps({"type": "RECORD", "record": {"stream": "items", "data": data, "emitted_at": 1}}) + "\n"


def ending():
    state = {"type": "STREAM", "stream": {"stream_descriptor": {"name": "items"}, "stream_state": {"done": True}}}
    status = {"stream_descriptor": {"name": "items"}, "status": "COMPLETE"}
    trace = {"type": "STREAM_STATUS", "emitted_at": 1, "stream_status": status}
    return json.dumps({"type": "STATE", "state": state}) + "\n" + json.dumps({"type": "TRACE", "trace": trace}) + "\n"


def cycle(binary, folder, config, readings, environment=None, secrets=(), maintenance=(*COMPACTION, *EXPIRY)):
    """`readings` returns the table's rows as Arrow, by reader. Returns the number of cells that were compared."""
    checked = run(binary, "check", config, folder, environment=environment)
    assert checked[-1]["connectionStatus"]["status"] == "SUCCEEDED", checked
    properties = {"gid": {"type": "string"}, "n": {"type": "integer"}, "_ab_cdc_deleted_at": {"type": ["null", "string"]}}
    rows, cells, output = {}, 0, []

    def write(records):
        catalog = folder / "catalog.json"
        stream = {"stream": {"name": "items", "json_schema": {"properties": properties}}, "sync_mode": "incremental",
                  "destination_sync_mode": "append_dedup", "primary_key": [["gid"]], "cursor_field": []}
        catalog.write_text(json.dumps({"streams": [stream]}))
        lines = folder / "items.jsonl"
        lines.write_text("".join(item(record) for record in records) + ending())
        output.extend(run(binary, "write", config, folder, "--catalog", str(catalog), lines=lines, environment=environment))
        for record in records:
            rows.pop(record["gid"], None)
            if not record.get("_ab_cdc_deleted_at"):
                rows[record["gid"]] = record

    def look():
        nonlocal cells
        for reader, arrow in readings().items():
            cells += compare(f"items by {reader}", arrow, properties, ["gid"], list(rows.values()))

    write([{"gid": str(number), "n": 1} for number in range(2000)])
    look()
    write([{"gid": str(number), "n": 2} for number in range(0, 2000, 10)])
    look()
    write([{"gid": str(number), "n": 2, "_ab_cdc_deleted_at": "2026-01-01T00:00:00Z"} for number in range(5, 2000, 50)])
    look()
    properties["note"] = {"type": ["null", "string"]}
    write([{"gid": str(number), "n": 3, "note": f"Nöte {number} 😀"} for number in range(1990, 2010)])
    look()
    run(binary, "maintain", config, folder, *maintenance, environment=environment)
    look()
    text = json.dumps(output)
    for secret in secrets:
        assert secret not in text, "a secret is printed"
    return cells
