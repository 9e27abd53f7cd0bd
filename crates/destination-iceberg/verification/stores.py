"""Google Cloud Storage and Azure, as emulators play them, through the same cycle as every other store.

  Google Cloud Storage   gcp-storage-emulator, with tokens from a metadata server of ours as on Google's machines
  Azure                  Azurite (Microsoft's own), with an account key and with a SAS token
"""

import datetime
import http.server
import json
import os
import pathlib
import secrets
import socketserver
import subprocess
import sys
import tempfile
import threading
import time

# Without it gcsfs asks by gRPC what kind each bucket is, which the emulator does not answer, and waits a minute each time.
os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"

import adlfs
import gcsfs
from azure.core.exceptions import AzureError
from azure.storage.blob import BlobServiceClient, ContainerSasPermissions, generate_container_sas
from gcp_storage_emulator.server import create_server
from pyiceberg.catalog.sql import SqlCatalog

from catalogs import free_port, say
from cycle import cycle
from tables import duckdb_connection

BINARY = pathlib.Path(sys.argv[1]) / "destination-iceberg"
# The account and the key that every Azurite has, from its own documentation.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
print_traceback = socketserver.BaseServer.handle_error
FSSPEC = {"py-io-impl": "pyiceberg.io.fsspec.FsspecFileIO"}


def readings(database, properties, filesystem):
    """The rows by PyIceberg and by DuckDB, which gets the store as one of Python's file systems."""
    catalog = SqlCatalog("default", uri=f"sqlite:///{database}", **FSSPEC, **properties)
    table = catalog.load_table(("airbyte", "items"))
    connection = duckdb_connection(("avro", "iceberg"))
    connection.register_filesystem(filesystem)
    found = connection.execute(f"SELECT * FROM iceberg_scan('{table.metadata_location}')").arrow()
    return {"pyiceberg": table.scan().to_arrow(), "duckdb": found.read_all() if hasattr(found, "read_all") else found}


def check_replaced_files_are_gone(filesystem, folder):
    """After maintenance, the table has one data file, and the store has no other."""
    left = [path for path in filesystem.find(folder) if path.endswith(".parquet")]
    assert len(left) == 1, left


class Metadata(http.server.BaseHTTPRequestHandler):
    """The part of Google's metadata server that gives tokens."""

    token, asked = secrets.token_urlsafe(40), 0

    def log_message(self, *_):
        pass

    def do_GET(self):
        assert self.headers["Metadata-Flavor"] == "Google" and "/token" in self.path, self.path
        Metadata.asked += 1
        body = json.dumps({"access_token": self.token, "expires_in": 3599, "token_type": "Bearer"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def ignore_closed_connections(server, request, client_address):
    """The emulator's server prints a traceback whenever a client does not wait for the end of an answer."""
    if not isinstance(sys.exc_info()[1], ConnectionError):
        print_traceback(server, request, client_address)


def verify_gcs(folder):
    port = free_port()
    socketserver.BaseServer.handle_error = ignore_closed_connections
    server = create_server("127.0.0.1", port, in_memory=True, default_bucket="bucket")
    server.start()
    metadata = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Metadata)
    threading.Thread(target=metadata.serve_forever, daemon=True).start()
    endpoint, database = f"http://127.0.0.1:{port}", folder / "gcs.db"
    config = {"catalog": {"type": "embedded", "warehouse": "gs://bucket/asana", "database": str(database)},
              "storage": {"type": "gcs", "endpoint": endpoint}}
    environment = {"GCE_METADATA_HOST": f"127.0.0.1:{metadata.server_address[1]}", "HOME": str(folder)}
    filesystem = gcsfs.GCSFileSystem(token="anon", endpoint_url=endpoint, cache_timeout=0, use_listings_cache=False)
    properties = {"gcs.service.host": endpoint, "gcs.oauth2.token": "anon"}
    cells = cycle(BINARY, folder, config, lambda: readings(database, properties, filesystem), environment, [Metadata.token])
    assert Metadata.asked, "no token was asked for"
    check_replaced_files_are_gone(filesystem, "bucket/asana")
    metadata.shutdown()
    server.stop()
    say(f"Google Cloud Storage: {cells} cells equal, by both readers; {Metadata.asked} tokens")


def verify_azure(folder):
    port = free_port()
    azurite = os.environ.get("AZURITE", "azurite-blob")
    (folder / "azurite").mkdir()
    process = subprocess.Popen([azurite, "--blobPort", str(port), "--location", str(folder / "azurite"), "--silent",
                                "--skipApiVersionCheck"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        endpoint = f"http://127.0.0.1:{port}/{ACCOUNT}"
        connection = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={endpoint};"
        service = BlobServiceClient.from_connection_string(connection, retry_total=0)
        while True:
            try:
                service.create_container("tables")
                break
            except AzureError:
                assert process.poll() is None, "Azurite ended"
                time.sleep(0.1)
        end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
        rights = ContainerSasPermissions(read=True, write=True, delete=True, list=True, create=True, add=True)
        sas = generate_container_sas(ACCOUNT, "tables", account_key=KEY, permission=rights, expiry=end)
        for name, access in {"an account key": {"account_key": KEY}, "a SAS token": {"sas_token": sas}}.items():
            database = folder / f"azure-{len(name)}.db"
            warehouse = f"abfss://tables@{ACCOUNT}.dfs.core.windows.net/{name.replace(' ', '-')}"
            config = {"catalog": {"type": "embedded", "warehouse": warehouse, "database": str(database)},
                      "storage": {"type": "azure", "endpoint": endpoint, **access}}
            filesystem = adlfs.AzureBlobFileSystem(connection_string=connection, use_listings_cache=False)
            properties = {"adls.connection-string": connection, "adls.account-name": ACCOUNT}
            hidden = [KEY, sas.split("sig=")[1].split("&")[0]]
            cells = cycle(BINARY, folder, config, lambda: readings(database, properties, filesystem), secrets=hidden)
            check_replaced_files_are_gone(filesystem, f"tables/{name.replace(' ', '-')}")
            say(f"Azure with {name}: {cells} cells equal, by both readers")
    finally:
        process.terminate()
        process.wait()


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        verify_gcs(folder)
        verify_azure(folder)
    say("All stores passed.")


if __name__ == "__main__":
    main()
