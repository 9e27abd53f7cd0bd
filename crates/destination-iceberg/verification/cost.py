"""What many small syncs cost without `maintain`: time, files and bytes on disk, requests to S3.

    cost.py <folder of binaries> [syncs]

S3 is moto with a delay of 30 ms a request. Fails if the cost grows with the number of syncs, or if any sync sends too many
requests, also one that joins files or expires snapshots. 0 syncs measure S3 alone.
"""

import json
import logging
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

from tables import Warehouse

BINARIES = pathlib.Path(sys.argv[1]).resolve()
SYNCS = int(sys.argv[2]) if len(sys.argv) > 2 else 200
ROWS = 100_000
DELAY = 0.03
REQUESTS = 25
# What a commit needs, one after the other: it reads the metadata file, the manifest list and the manifests, and writes the
# data file, the manifests, the manifest list and the metadata file.
COMMIT_TRIPS = 7
OTHER_TRIPS = 4
PROPERTIES = {"gid": {"type": "string"}, "name": {"type": "string"}, "notes": {"type": "string"}, "n": {"type": "integer"},
              "modified_at": {"type": "string", "format": "date-time"}}


def record(gid, version, dice):
    words = "review draft launch plan budget owner weekly customer sprint blocked design".split()
    return {"gid": str(1_200_000_000_000 + gid), "name": " ".join(dice.choices(words, k=5)), "n": version,
            "notes": " ".join(dice.choices(words, k=12)) + f" {dice.random()}",
            "modified_at": f"2026-01-{1 + version // 1440:02}T{version // 60 % 24:02}:{version % 60:02}:00Z"}


class Destination:
    def __init__(self, folder, config, mode="append_dedup"):
        self.config, self.catalog = folder / "config.json", folder / "catalog.json"
        self.config.write_text(json.dumps(config))
        self.catalog.write_text(json.dumps({"streams": [{
            "stream": {"name": "items", "json_schema": {"properties": PROPERTIES}}, "sync_mode": "incremental",
            "destination_sync_mode": mode, "primary_key": [["gid"]], "cursor_field": ["modified_at"]}]}))

    def sync(self, records):
        """Returns the seconds that it took, and whether it joined files or expired snapshots."""
        lines = [{"type": "RECORD", "record": {"stream": "items", "data": data, "emitted_at": 1}} for data in records]
        status = {"stream_descriptor": {"name": "items"}, "status": "COMPLETE"}
        lines.append({"type": "TRACE", "trace": {"type": "STREAM_STATUS", "stream_status": status}})
        text = "".join(json.dumps(line) + "\n" for line in lines)
        started = time.time()
        run = subprocess.run([BINARIES / "destination-iceberg", "write", "--config", self.config, "--catalog", self.catalog],
                             input=text, text=True, check=True, stdout=subprocess.PIPE)
        return time.time() - started, "files were joined" in run.stdout


def local(folder):
    dice = random.Random(1)
    warehouse = folder / "warehouse"
    destination = Destination(folder, {"catalog": {"type": "embedded", "warehouse": str(warehouse)}})
    seconds = [destination.sync(record(gid, 0, dice) for gid in range(ROWS))[0]]
    for sync in range(1, SYNCS):
        seconds.append(destination.sync([record(dice.randrange(ROWS), sync, dice) for _ in range(100)])[0])
    reader = Warehouse(warehouse / "catalog.db")
    table = reader.table("items")
    live = int(table.current_snapshot().summary["total-files-size"])
    files = [path for path in warehouse.rglob("*") if path.is_file() and path.name != "catalog.db"]
    total = sum(path.stat().st_size for path in files)
    early, late = (statistics.median(seconds[place - 3:place + 3]) for place in (5, SYNCS - 3))
    counts = reader.counts("items")
    print(f"{SYNCS} syncs of 100 upserts into {ROWS:,} rows: {early:.2f} s around sync 5, {late:.2f} s at the end, "
          f"{sum(seconds):.0f} s in all, the longest {max(seconds[1:]):.2f} s")
    print(f"  {len(files)} files, {total / 1e6:.1f} MB, of which {live / 1e6:.1f} MB are live: {total / live:.2f} times")
    assert set(counts.values()) == {ROWS}, counts
    assert late <= 1.5 * early, "the last syncs take longer"
    assert total <= 3 * live, "too much is kept"


class S3:
    """moto, which counts its requests and answers each after a delay."""

    def __init__(self):
        from moto.server import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        moto = DomainDispatcherApplication(create_backend_app)
        self.requests = []

        def counting(environ, start_response):
            started = time.time()
            time.sleep(DELAY)
            answer = list(moto(environ, start_response))
            self.requests.append((started, time.time(), environ["REQUEST_METHOD"], environ["PATH_INFO"]))
            return answer

        server = make_server("127.0.0.1", 0, counting, threaded=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{server.server_port}"
        urllib.request.urlopen(urllib.request.Request(f"{self.endpoint}/bucket", method="PUT")).close()

    def take(self):
        """The requests since the last time, and how many of them came one after the other."""
        requests, self.requests = sorted(self.requests), []
        trips, end = 0, 0.0
        for started, ended, *_ in requests:
            if started >= end:
                trips, end = trips + 1, ended
        return requests, trips


def on_s3(folder):
    server = S3()
    print("one record into one stream on S3, 100 syncs:")
    for case, mode, gid in (
            ("append", "append", lambda sync: sync),
            ("the same row", "append_dedup", lambda sync: 7),
            ("another row of the first file", "append_dedup", lambda sync: sync * 9),
            ("a new row", "append_dedup", lambda sync: 100_000 + sync)):
        name = case.replace(" ", "-")
        destination = Destination(folder, {
            "catalog": {"type": "embedded", "warehouse": f"s3://bucket/{name}", "database": str(folder / f"{name}.db")},
            "storage": {"type": "s3", "region": "us-east-1", "endpoint": server.endpoint, "access_key_id": "id",
                        "secret_access_key": "key", "addressing": "path"}}, mode)
        dice = random.Random(1)
        destination.sync(record(number, 0, dice) for number in range(1000))
        server.take()
        counts, trips, kinds, maintaining = [], [], [], []
        for sync in range(1, 101):
            seconds, maintains = destination.sync([record(gid(sync), sync, dice)])
            maintaining.append(maintains)
            requests, in_turn = server.take()
            counts.append(len(requests))
            trips.append(in_turn)
            kinds.append(" ".join(f"{method} {path.rsplit('/', 2)[-2][:8]}/{path.rsplit('.', 1)[-1]}"
                                  for _, _, method, path in requests))
        largest = counts.index(max(counts))
        print(f"  {case}: {counts[1]} requests in sync 2, {counts[98:]} in syncs 99 and 100, median "
              f"{statistics.median(counts)}, largest {max(counts)}; {trips[1]} round trips one after the other in sync 2, "
              f"{trips[98:]} in syncs 99 and 100, median {statistics.median(trips)}, largest {max(trips)}; "
              f"sync 100 took {seconds:.1f} s")
        print(f"    sync 100: {kinds[-1]}\n    sync {largest + 1}: {kinds[largest]}", flush=True)
        others = [count for count, maintains in zip(counts, maintaining) if not maintains]
        print(f"    {sum(maintaining)} of 100 syncs joined files or expired snapshots; the others sent {min(others)} to "
              f"{max(others)} requests", flush=True)
        assert max(others[1:]) <= counts[1] + 2 and min(others[1:]) >= counts[1] - 2, "the number of requests changes"
        assert max(counts) <= REQUESTS, "too many requests"
        # On a busy machine, requests that are sent at once can seem to follow each other.
        assert sorted(trips)[95] <= COMMIT_TRIPS + OTHER_TRIPS, "too many requests one after the other"
        assert case == "the same row" or any(maintaining), "no sync joined files"


def main():
    with tempfile.TemporaryDirectory() as name:
        on_s3(pathlib.Path(name))
    with tempfile.TemporaryDirectory() as name:
        if SYNCS:
            local(pathlib.Path(name))


if __name__ == "__main__":
    main()
