"""Pathway itself, reading a stream with the image and printing each row of its table as a RECORD message. One stream, because
Pathway gives every connector of a graph the same name and then refuses the second.

    pathway_runner.py IMAGE CONFIG STREAM [FOLDER]

With a folder, Pathway stores its state there, and a second run resumes from it. `docker` is whatever the PATH says."""

import json
import os
import pathlib
import sys
import tempfile

import pathway as pw
import yaml
from pathway.third_party.airbyte_serverless.sources import DockerAirbyteSource

image, config, stream, *kept = sys.argv[1:]


class ReadableFolder(DockerAirbyteSource):
    """Gives Pathway's folder to the image's user, as it is where that user runs Pathway."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        os.chown(self.temp_dir, 1000, 1000)


pw.third_party.airbyte_serverless.sources.DockerAirbyteSource = ReadableFolder


def on_change(key, row, time, is_addition):
    record = {"stream": stream, "data": json.loads(row["data"].value)}
    print(json.dumps({"type": "RECORD", "record": record}, separators=(",", ":")))


with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / "connection.yaml"
    path.write_text(yaml.safe_dump({"source": {"docker_image": image, "config": json.loads(pathlib.Path(config).read_text())}}))
    table = pw.io.airbyte.read(path, [stream], mode="static", enforce_method="docker")
    pw.io.subscribe(table, on_change)
    persistence = pw.persistence.Config(pw.persistence.Backend.filesystem(kept[0])) if kept else None
    pw.run(monitoring_level=pw.MonitoringLevel.NONE, persistence_config=persistence)
