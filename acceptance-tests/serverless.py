"""airbyte_serverless itself, reading these streams with the image and printing what it passes on: one message a line.

    serverless.py IMAGE CONFIG STREAM,STREAM

`docker` is whatever the PATH says. Its folder is given to the image's user, as it is where that user runs it."""

import json
import os
import pathlib
import sys

from airbyte_serverless.sources import Source

image, config, streams = sys.argv[1:]
source = Source(docker_image=image, config=json.loads(pathlib.Path(config).read_text()), streams=streams)
os.chown(source.temp_dir, 1000, 1000)
status = source.connection_status
print(json.dumps({"type": "CONNECTION_STATUS", "connectionStatus": status}))
for message in source.extract():
    print(json.dumps(message, separators=(",", ":")))
