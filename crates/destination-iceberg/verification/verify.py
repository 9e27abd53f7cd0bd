"""The whole pipe, source to table, read back by PyIceberg and DuckDB. Fails at the first cell that differs.

    verify.py <folder of binaries> <scale of the world>
"""

import json
import logging
import pathlib
import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

from cycle import cycle
from pipe import Pipe, say, write_json
from tables import Warehouse, compare
from world import World

BINARIES = pathlib.Path(sys.argv[1]).resolve()
SCALE = sys.argv[2]
CRASHES = 8
# Maintenance that leaves nothing for later.
ALL_OF_IT = ["--small-file-percent=100", "--expire-after-hours=0", "--keep-snapshots=1", "--remove-orphans-after-hours=0"]


def verify_syncs(folder, scale, rounds):
    """Syncs with changes of the world between them, then maintenance, which must change nothing."""
    with World(BINARIES, scale) as world:
        pipe = Pipe(BINARIES, folder, world, "incremental")
        for round_ in range(1, rounds + 1):
            started = time.time()
            _, states = pipe.sync()
            seconds = time.time() - started
            records, count, deletions = pipe.records()
            say(f"sync {round_} of the {scale} world: {count} records, {deletions} of them deletions, {states} states, "
                f"{seconds:.1f} s")
            pipe.check(world, records)
            if round_ < rounds:
                world.change(round_)
        if rounds > 1:
            subprocess.run([BINARIES / "destination-iceberg", "maintain", "--config", pipe.destination_config, *ALL_OF_IT],
                           check=True, stdout=subprocess.DEVNULL)
            say("after maintain:")
            pipe.check(world, records)


def verify_crashes(folder, scale):
    """kill -9 of either end or both at random points, and on from the last states that came out.

    First of a full read, whose world stands still, until it is whole; then of incremental syncs of a world that moves.
    """
    dice = random.Random(1)
    with World(BINARIES, scale) as world:
        started = time.time()
        Pipe(BINARIES, fresh(folder / "unharmed"), world, "incremental", commit_interval_seconds=0).sync()
        seconds = time.time() - started
        pipe = Pipe(BINARIES, folder, world, "incremental", commit_interval_seconds=0)
        for kind in ("full", "incremental"):
            broken = states = 0
            for attempt in range(CRASHES):
                if kind == "incremental" and attempt % 2 == 0:
                    world.change(attempt // 2)
                end = dice.choice(["source", "destination", "both"])
                ended, some = pipe.sync(kill=end, after=dice.random() * seconds)
                broken, states = broken + (not ended), states + some
            started = time.time()
            pipe.sync()
            seconds = time.time() - started
            say(f"{broken} of {CRASHES} {kind} syncs of the {scale} world killed, {states} states came out of them; "
                "then one that was not:")
            pipe.check(world)
            assert broken >= CRASHES // 3, "the kills came too late to prove anything"


def fresh(folder):
    folder.mkdir()
    return folder


def write_destination(folder, config, catalog, lines):
    config = write_json(folder / "destination.json", config)
    catalog = write_json(folder / "destination-catalog.json", catalog)
    with lines.open("rb") as source:
        done = subprocess.run([BINARIES / "destination-iceberg", "write", "--config", config, "--catalog", catalog],
                              stdin=source, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
    return [json.loads(line) for line in done.stdout.split("\n") if line]


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
    config_file = write_json(folder / "nested.json", config)
    for step in ("written", "maintained"):
        if step == "maintained":
            subprocess.run([BINARIES / "destination-iceberg", "maintain", "--config", config_file, *ALL_OF_IT],
                           check=True, stdout=subprocess.DEVNULL)
        for reader, arrow in Warehouse(folder / "nested/catalog.db").readings("people").items():
            rows = sorted(arrow.select(["gid", "owner", "followers"]).to_pylist(), key=lambda row: row["gid"])
            assert rows == expected, f"{reader}, {step}: {rows}"
    say("typed nesting with a field added later, before and after maintain: equal, by both readers")


def verify_deletes(folder):
    """The same cycle with both kinds of deletes."""
    for deletes in ("position_deletes", "copy_on_write"):
        place = fresh(folder / deletes)
        config = {"catalog": {"type": "embedded", "warehouse": str(place / "warehouse")}, "deletes": deletes,
                  "maintenance_percent": 0}
        counts = []

        def readings():
            warehouse = Warehouse(place / "warehouse/catalog.db")
            counts.append(warehouse.table("items").inspect.delete_files().num_rows)
            return warehouse.readings("items")

        cells = cycle(BINARIES / "destination-iceberg", place, config, readings)
        assert (max(counts) > 0) == (deletes == "position_deletes"), counts
        say(f"{deletes}: {cells:,} cells are equal, by both readers; delete files after each step: {counts}")


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
        "storage": {"type": "s3", "region": "us-east-1", "endpoint": endpoint, "access_key_id": "id", "secret_access_key": "secret-of-s3",
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
            subprocess.run([BINARIES / "destination-iceberg", "maintain", "--config", config_file, *ALL_OF_IT],
                           check=True, stdout=subprocess.DEVNULL)
    server.stop()
    say("S3: check, upserts and maintain, equal by both readers")


def main():
    """Everything on the given world; without one, all of it on the small world and one sync of the medium one."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        verify_nested(folder)
        verify_deletes(folder)
        verify_hostile(folder)
        verify_s3(folder)
        verify_crashes(fresh(folder / "crashes"), SCALE)
        verify_syncs(fresh(folder / "syncs"), SCALE, 3)
        if SCALE == "small":
            verify_syncs(fresh(folder / "medium"), "medium", 1)
    say("Everything is equal.")


if __name__ == "__main__":
    main()
