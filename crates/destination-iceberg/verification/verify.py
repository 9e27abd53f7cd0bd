"""The whole pipe, source to table, read back by PyIceberg and DuckDB. Fails at the first cell that differs.

    verify.py <folder of binaries> <scale of the world>
"""

import json
import logging
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from tables import Warehouse, compare

BINARIES = pathlib.Path(sys.argv[1]).resolve()
SCALE = sys.argv[2]
ROOT = pathlib.Path(__file__).resolve().parents[3]
TOKEN = "token-of-the-verification"


def say(text):
    print(text, flush=True)


def start_simulator():
    simulator = subprocess.Popen(
        [BINARIES / "asana-simulator", "--scale", SCALE, "--token", TOKEN, "--service-account", "--plan",
         "enterprise", "--control"], stdout=subprocess.PIPE, text=True)
    return simulator, simulator.stdout.readline().strip()


def control(base, method, path, body=None):
    base = base.split("/api/")[0]
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{base}/control{path}", data, method=method,
                                     headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def write_json(path, value):
    path.write_text(json.dumps(value))
    return path


def dedup_catalog():
    """Every stream, to be read in full and upserted by its key."""
    catalog = json.loads((ROOT / "catalogs/full_refresh.json").read_text())
    for stream in catalog["streams"]:
        stream["destination_sync_mode"] = "append_dedup"
        stream["primary_key"] = stream["stream"]["source_defined_primary_key"]
    return catalog


def read_source(folder, base, catalog):
    """The source's lines, as it printed them."""
    config = write_json(folder / "source.json",
                        {"token": TOKEN, "rate_limit": {"mode": "fixed", "requests_per_minute": 1000000}})
    catalog = write_json(folder / "source-catalog.json", catalog)
    lines = folder / "messages.jsonl"
    with lines.open("wb") as sink:
        subprocess.run([BINARIES / "source-asana", "read", "--config", config, "--catalog", catalog], check=True,
                       stdout=sink, env={**os.environ, "ASANA_BASE_URL": base})
    return lines


def write_destination(folder, config, catalog, lines):
    config = write_json(folder / "destination.json", config)
    catalog = write_json(folder / "destination-catalog.json", catalog)
    with lines.open("rb") as source:
        done = subprocess.run([BINARIES / "destination-iceberg", "write", "--config", config, "--catalog", catalog],
                              stdin=source, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def records_of(lines):
    records = {}
    with lines.open() as source:
        for line in source:
            message = json.loads(line)
            if message["type"] == "RECORD":
                records.setdefault(message["record"]["stream"], []).append(message["record"]["data"])
    return records


def with_tombstones(lines, catalog, before):
    """Adds the deletions of what the stream had and has no more, before the stream's end."""
    now = records_of(lines)
    keys = {stream["stream"]["name"]: [path[0] for path in stream["primary_key"]] for stream in catalog["streams"]}
    target = lines.with_suffix(".tombstones")
    count = 0
    with lines.open() as source, target.open("w") as sink:
        for line in source:
            message = json.loads(line)
            status = message.get("trace", {}).get("stream_status", {})
            if status.get("status") == "COMPLETE":
                name = status["stream_descriptor"]["name"]
                key_of = lambda record: tuple(record[part] for part in keys[name])
                there = {key_of(record) for record in now.get(name, [])}
                for record in before.get(name, []):
                    if key_of(record) not in there:
                        data = {part: record[part] for part in keys[name]}
                        data["_ab_cdc_deleted_at"] = "2030-01-01T00:00:00Z"
                        count += 1
                        sink.write(json.dumps({"type": "RECORD", "record": {
                            "stream": name, "data": data, "emitted_at": int(time.time() * 1000)}}) + "\n")
            sink.write(line)
    return target, now, count


def check_tables(warehouse, catalog, records, base):
    cells = rows = 0
    for stream in catalog["streams"]:
        name = stream["stream"]["name"]
        key = [path[0] for path in stream["primary_key"]]
        properties = stream["stream"]["json_schema"]["properties"]
        for arrow in warehouse.readings(name).values():
            cells += compare(name, arrow, properties, key, records.get(name, []))
            rows += arrow.num_rows
        assert warehouse.equality_deletes(name) == 0
    world = {task["gid"]: task for task in
             control(base, "GET", "/truth/tasks?opt_fields=gid,parent.gid,projects.gid,assignee.gid")["data"]}
    in_tables = {record["gid"] for name in ("tasks", "subtasks") for record in records[name]}
    assert in_tables <= set(world), f"{len(in_tables - set(world))} tasks are not in the world"
    # No listing of Asana's shows a task that is in no project and nobody's, nor what hangs below it.
    unlisted = {gid for gid, task in world.items() if not (task["projects"] or task["assignee"] or task["parent"])}
    while more := {gid for gid, task in world.items()
                   if gid not in unlisted and task["parent"] and task["parent"]["gid"] in unlisted}:
        unlisted |= more
    missing = set(world) - in_tables
    assert missing <= unlisted, f"{len(missing - unlisted)} tasks are missing"
    say(f"  {len(catalog['streams'])} tables, {rows} rows and {cells} cells equal, by both readers; "
        f"all {len(in_tables)} tasks that the world lists; no equality delete")


def edit_world(base, records, round_):
    tasks = records["tasks"]
    pick = lambda start, count: [task["gid"] for task in tasks[start:start + count]]
    edits = [{"kind": "rename_task", "task": gid, "name": f"renamed in {round_} 🎉"} for gid in pick(10 * round_, 10)]
    edits += [{"kind": "complete_task", "task": gid} for gid in pick(30 + 5 * round_, 5)]
    edits += [{"kind": "delete_task", "task": gid} for gid in pick(60 + 4 * round_, 4)]
    edits += [{"kind": "comment", "task": gid, "text": "a comment"} for gid in pick(10 * round_, 3)]
    edits += [{"kind": "create_task", "workspace": records["workspaces"][0]["gid"], "name": "made", "projects": []}]
    edits += [{"kind": "rename_tag", "tag": tag["gid"], "name": f"tag {round_}"} for tag in records["tags"][:2]]
    refused = 0
    for edit in edits:
        try:
            control(base, "POST", "/edits", edit)
        except urllib.error.HTTPError:
            # A task that went with its parent.
            refused += 1
    assert refused < len(edits) / 2, "the world takes no edits"
    control(base, "POST", "/clock", {"advance_seconds": 3600})


def verify_pipe(folder):
    simulator, base = start_simulator()
    try:
        catalog = dedup_catalog()
        config = {"catalog": {"type": "embedded", "warehouse": str(folder / "warehouse")}}
        before = {}
        for round_ in (1, 2, 3):
            started = time.time()
            lines, records, deletions = with_tombstones(read_source(folder, base, catalog), catalog, before)
            read_in = time.time() - started
            started = time.time()
            messages = write_destination(folder, config, catalog, lines)
            states = sum(message["type"] == "STATE" for message in messages)
            count = sum(map(len, records.values()))
            say(f"sync {round_}: {count} records read in {read_in:.0f} s, with {deletions} deletions written in "
                f"{time.time() - started:.0f} s, {states} states")
            check_tables(Warehouse(folder / "warehouse/catalog.db"), catalog, records, base)
            before = records
            edit_world(base, records, round_)
        # Overwriting twice leaves what the second read saw.
        for stream in catalog["streams"]:
            stream["destination_sync_mode"] = "overwrite"
        config["catalog"]["warehouse"] = str(folder / "overwritten")
        for _ in range(2):
            lines = read_source(folder, base, catalog)
            write_destination(folder, config, catalog, lines)
        say("overwrite:")
        check_tables(Warehouse(folder / "overwritten/catalog.db"), catalog, records_of(lines), base)
        maintain = [BINARIES / "destination-iceberg", "maintain", "--config", folder / "destination.json"]
        config["catalog"]["warehouse"] = str(folder / "warehouse")
        write_json(folder / "destination.json", config)
        before = {name: Warehouse(folder / "warehouse/catalog.db").table(name).scan().to_arrow().num_rows
                  for name in ("tasks", "stories", "users")}
        subprocess.run([*maintain, "--small-file-percent=100", "--expire-after-hours=0", "--keep-snapshots=1",
                        "--remove-orphans-after-hours=0"], check=True, stdout=subprocess.DEVNULL)
        for name, rows in before.items():
            for reader, arrow in Warehouse(folder / "warehouse/catalog.db").readings(name).items():
                assert arrow.num_rows == rows, f"{name} by {reader} after maintain"
        say("maintain: the same rows, by both readers")
    finally:
        simulator.send_signal(signal.SIGTERM)
        simulator.wait()


def item(stream, data):
    return json.dumps({"type": "RECORD", "record": {"stream": stream, "data": data, "emitted_at": 1}}) + "\n"


def complete(stream):
    state = {"type": "STREAM", "stream": {"stream_descriptor": {"name": stream}, "stream_state": {"done": True}}}
    status = {"stream_descriptor": {"name": stream}, "status": "COMPLETE"}
    trace = {"type": "STREAM_STATUS", "emitted_at": 1, "stream_status": status}
    return json.dumps({"type": "STATE", "state": state}) + "\n" + json.dumps({"type": "TRACE", "trace": trace}) + "\n"


def configured(name, properties, mode):
    return {"streams": [{"stream": {"name": name, "json_schema": {"properties": properties}}, "sync_mode": "incremental",
                         "destination_sync_mode": mode, "primary_key": [["gid"]], "cursor_field": []}]}


def verify_nested(folder):
    """Nested types, and a field that is added inside of them."""
    config = {"catalog": {"type": "embedded", "warehouse": str(folder / "nested")}, "nested": "typed"}
    person = {"type": "object", "properties": {"gid": {"type": "string"}}}
    lines = folder / "nested.jsonl"
    expected = []
    for round_ in (1, 2):
        if round_ == 2:
            person["properties"]["email"] = {"type": "string"}
        properties = {"gid": {"type": "string"}, "followers": {"type": "array", "items": person}, "owner": person}
        one = {"gid": "7", "email": "a@b"} if round_ == 2 else {"gid": "7"}
        data = {"gid": str(round_), "owner": one, "followers": [one, one]}
        lines.write_text(item("people", data) + complete("people"))
        write_destination(folder, config, configured("people", properties, "append_dedup"), lines)
        whole = {"email": None, **one}
        expected.append({"gid": str(round_), "owner": whole, "followers": [whole, whole]})
    for reader, arrow in Warehouse(folder / "nested/catalog.db").readings("people").items():
        rows = sorted(arrow.select(["gid", "owner", "followers"]).to_pylist(), key=lambda row: row["gid"])
        assert rows == expected, f"{reader}: {rows}"
    say("typed nesting with a field added later: equal, by both readers")


def verify_hostile(folder):
    names = ["with space", "emoji 😀", "1digit", "select", "quote\"d", "naïve-ünï", "semi;colon", "a.b"]
    properties = {"gid": {"type": "string"}, **{name: {"type": ["null", "string"]} for name in names}}
    properties |= {f"column_{number}": {"type": ["null", "integer"]} for number in range(1000)}
    huge = "x😀" * 2_000_000
    records = [{"gid": "1", **{name: f"value of {name}" for name in names}}, {"gid": "2"},
               {"gid": "3", "with space": huge, "column_999": 9}]
    lines = folder / "hostile.jsonl"
    stream = "order by 😀"
    lines.write_text("".join(item(stream, record) for record in records) + complete(stream))
    config = {"catalog": {"type": "embedded", "warehouse": str(folder / "hostile")}}
    write_destination(folder, config, configured(stream, properties, "append_dedup"), lines)
    for arrow in Warehouse(folder / "hostile/catalog.db").readings(stream).values():
        compare(stream, arrow, properties, ["gid"], records)
    say("a hostile stream of 1,009 columns and a cell of 10 MB: equal, by both readers")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def verify_s3(folder):
    """A warehouse on S3, as moto plays it, with upserts and maintenance."""
    from moto.server import ThreadedMotoServer
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    port = free_port()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    endpoint = f"http://127.0.0.1:{port}"
    request = urllib.request.Request(f"{endpoint}/bucket", method="PUT", headers={"Host": f"127.0.0.1:{port}"})
    urllib.request.urlopen(request).close()
    config = {
        "catalog": {"type": "embedded", "warehouse": "s3://bucket/asana", "database": str(folder / "s3.db")},
        "s3": {"region": "us-east-1", "endpoint": endpoint, "access_key_id": "id", "secret_access_key": "secret-of-s3",
               "addressing": "path"}}
    config_file = write_json(folder / "s3.json", config)
    checked = subprocess.run([BINARIES / "destination-iceberg", "check", "--config", config_file], check=True,
                             capture_output=True, text=True).stdout
    assert "SUCCEEDED" in checked, checked
    properties = {"gid": {"type": "string"}, "n": {"type": "integer"}}
    catalog = configured("items", properties, "append_dedup")
    lines = folder / "s3.jsonl"
    for version in (1, 2):
        count = 5000 if version == 1 else 500
        data = (item("items", {"gid": str(number), "n": version}) for number in range(count))
        lines.write_text("".join(data) + complete("items"))
        messages = write_destination(folder, config, catalog, lines)
        logs = [message["log"]["message"] for message in messages if message["type"] == "LOG"]
        assert any("ALTER ICEBERG TABLE" in log and "REFRESH 'asana/" in log for log in logs), logs
        assert not any("secret-of-s3" in log for log in logs)
    expected = [{"gid": str(number), "n": 2 if number < 500 else 1} for number in range(5000)]
    properties_of_readers = {"s3.endpoint": endpoint, "s3.access-key-id": "id", "s3.secret-access-key": "secret-of-s3",
                             "s3.region": "us-east-1", "warehouse": "s3://bucket/asana"}
    setup = [f"CREATE SECRET (TYPE s3, KEY_ID 'id', SECRET 'secret-of-s3', REGION 'us-east-1', URL_STYLE 'path', "
             f"USE_SSL false, ENDPOINT '127.0.0.1:{port}')"]
    for step in ("written", "maintained"):
        for arrow in Warehouse(folder / "s3.db", properties_of_readers, setup).readings("items").values():
            compare("items", arrow, properties, ["gid"], expected)
        if step == "written":
            subprocess.run([BINARIES / "destination-iceberg", "maintain", "--config", config_file,
                            "--small-file-percent=100", "--expire-after-hours=0", "--keep-snapshots=1",
                            "--remove-orphans-after-hours=0"], check=True, stdout=subprocess.DEVNULL)
    server.stop()
    say("S3: check, upserts and maintain, equal by both readers")


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        verify_nested(folder)
        verify_hostile(folder)
        verify_s3(folder)
        verify_pipe(folder)
    say("Everything is equal.")


if __name__ == "__main__":
    main()
