"""REST catalogs and object stores that are not ours, and independent verifiers of what the destination signs.

  lakana        a REST catalog from PyPI, on loopback, with its own tokens
  SigV4         a gate in front of it that accepts what botocore's own signer signs for the same request, as Glue and as S3
                Tables: session tokens, prefixes with `%` and `:`, credentials that end in the middle of a sync, assumed roles
  key pair      a JWT that PyJWT verifies with OpenSSL's public key
"""

import base64
import datetime
import hashlib
import http.server
import json
import os
import pathlib
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import jwt
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography.hazmat.primitives import serialization
from pyiceberg.catalog.rest import RestCatalog

from cycle import COMPACTION, cycle, run
from tables import duckdb_connection

BINARY = pathlib.Path(sys.argv[1]) / "destination-iceberg"
# lakana makes tables under bronze, silver and gold alone, and expires snapshots itself.
NAMESPACE = "bronze"
ACCOUNT = "123456789012"
BUCKET = f"arn:aws:s3tables:eu-central-1:{ACCOUNT}:bucket/tables"


def say(text):
    print(text, flush=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Lakana:
    """lakana-server, with an environment of local files."""

    def __init__(self, folder):
        self.port, self.folder, self.environments = free_port(), folder, 0
        secret = secrets.token_urlsafe(32)
        self.token = f"lakana_pat_boot_{secret}"
        self.address = f"http://127.0.0.1:{self.port}"
        server = pathlib.Path(sys.executable).parent / "lakana-server"
        variables = {**os.environ, "LAKANA_DATABASE__URL": f"sqlite:///{folder}/meta.db", "LAKANA_HOST": "127.0.0.1",
                     "LAKANA_PORT": str(self.port), "LAKANA_BOOTSTRAP_PAT_KEY_ID": "boot",
                     "LAKANA_BOOTSTRAP_PAT_SECRET": secret}
        subprocess.run([server, "migrate"], env=variables, check=True, capture_output=True)
        self.log = (folder / "lakana.log").open("wb")
        self.process = subprocess.Popen([server], env=variables, stdout=self.log, stderr=self.log)
        self.wait()

    def new_environment(self):
        """What stands in its addresses where other catalogs have a prefix."""
        self.environments += 1
        name = f"environment{self.environments}"
        (self.folder / name).mkdir()
        storage = {"scheme": "file", "root": f"file://{self.folder}/{name}", "options": {}}
        self.request("POST", "/api/v1/environments", {"name": name, "storage": storage})
        return name

    def wait(self):
        """Waits as long as the server lives: a busy machine takes minutes to start it."""
        while True:
            try:
                return self.request("GET", "/v1/config")
            except (urllib.error.URLError, ConnectionError):
                assert self.process.poll() is None, f"lakana-server ended: {(self.folder / 'lakana.log').read_text()[-2000:]}"
                time.sleep(0.1)

    def request(self, method, path, body=None):
        request = urllib.request.Request(self.address + path, method=method, data=json.dumps(body).encode() if body else None,
                                         headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from error

    def readings(self, environment):
        catalog = RestCatalog("lakana", uri=self.address, token=self.token, prefix=environment)
        table = catalog.load_table((NAMESPACE, "items"))
        scan = duckdb_connection().execute(f"SELECT * FROM iceberg_scan('{table.metadata_location}')").arrow()
        scan = scan.read_all() if hasattr(scan, "read_all") else scan
        return {"pyiceberg": table.scan().to_arrow(), "duckdb": scan}

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()


class Gate(http.server.ThreadingHTTPServer):
    """Lets a request through to the catalog if `accept` does, and gives the catalog the prefix that AWS has."""

    daemon_threads = True

    def __init__(self, lakana, prefix, accept):
        super().__init__(("127.0.0.1", 0), Handler)
        self.lakana, self.prefix, self.accept = lakana, prefix, accept
        self.environment = lakana.new_environment()
        self.refused, self.passed, self.empty = [], 0, 0
        self.keys, self.given, self.life = {}, 0, 3600
        self.forms = []
        self.address = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def new_keys(self):
        """Credentials as AWS gives them for a session, which only this gate knows."""
        self.given += 1
        key, secret, token = f"ASIA{self.given:016}", secrets.token_urlsafe(30), secrets.token_urlsafe(200) + "/+=="
        self.keys[key] = (secret, token)
        end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.life)
        return key, secret, token, end.strftime("%Y-%m-%dT%H:%M:%SZ")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, kind="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def any(self):
        gate, body = self.server, self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/credentials":
            key, secret, token, end = gate.new_keys()
            fields = {"AccessKeyId": key, "SecretAccessKey": secret, "Token": token, "Expiration": end}
            return self.answer(200, json.dumps(fields).encode())
        if self.path == "/" and b"Action=AssumeRole" in body:
            gate.forms.append(urllib.parse.parse_qs(body.decode()))
            key, secret, token, end = gate.new_keys()
            return self.answer(200, f"""<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
                <AssumedRoleUser><Arn>arn:aws:sts::{ACCOUNT}:assumed-role/r/s</Arn><AssumedRoleId>A:s</AssumedRoleId></AssumedRoleUser>
                <Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>
                <SessionToken>{token}</SessionToken><Expiration>{end}</Expiration></Credentials>
                </AssumeRoleResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></AssumeRoleResponse>""".encode(),
                "text/xml")
        if self.path.endswith("/oauth/tokens"):
            gate.forms.append(urllib.parse.parse_qs(body.decode()))
            return self.answer(200, json.dumps({"access_token": "given-token", "expires_in": 3600}).encode())
        fault = gate.accept(gate, self.command, self.path, self.headers, body)
        if fault:
            gate.refused.append(f"{self.command} {self.path}: {fault}")
            return self.answer(403, json.dumps({"error": {"message": fault, "type": "Forbidden", "code": 403}}).encode())
        gate.passed += 1
        gate.empty += not body
        path = self.path.removeprefix("/iceberg")
        if path.startswith("/v1/config"):
            return self.answer(200, json.dumps({"defaults": {}, "overrides": {"prefix": gate.prefix}}).encode())
        start = f"/v1/{gate.prefix}/" if gate.prefix else "/v1/"
        if not path.startswith(start):
            return self.answer(404, json.dumps({"error": {"message": f"{path} is outside {start}", "code": 404}}).encode())
        path = f"/v1/{gate.environment}/" + path.removeprefix(start)
        request = urllib.request.Request(gate.lakana.address + path, method=self.command, data=body or None, headers={
            "Authorization": f"Bearer {gate.lakana.token}", "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request) as found:
                return self.answer(found.status, found.read())
        except urllib.error.HTTPError as error:
            return self.answer(error.code, error.read())

    do_GET = do_POST = do_DELETE = do_HEAD = any


def signed_by_botocore(service, region):
    """Accepts a request whose signature botocore computes too, for the headers that were signed."""

    def accept(gate, method, path, headers, body):
        words = dict(part.strip().split("=", 1) for part in
                     headers["Authorization"].removeprefix("AWS4-HMAC-SHA256 ").split(","))
        key, _, in_region, for_service, _ = words["Credential"].split("/")
        if (in_region, for_service) != (region, service):
            return f"signed for {in_region} and {for_service}"
        if key not in gate.keys:
            return "unknown access key"
        secret, token = gate.keys[key]
        signed = words["SignedHeaders"].split(";")
        if "host" not in signed or (token and "x-amz-security-token" not in signed):
            return f"signs {signed} only"
        if token and headers["x-amz-security-token"] != token:
            return "another session token"
        # The token and the date are put in by botocore itself.
        kept = {name: headers[name] for name in signed if name not in ("x-amz-date", "x-amz-security-token")}
        request = AWSRequest(method=method, url=f"http://{headers['Host']}{path}", headers=kept, data=body)
        request.context["timestamp"] = headers["x-amz-date"]
        signer = SigV4Auth(Credentials(key, secret, token), service, region)
        signer._modify_request_before_signing(request)
        canonical = signer.canonical_request(request)
        expected = signer.signature(signer.string_to_sign(request, canonical), request)
        return None if expected == words["Signature"] else f"botocore signs otherwise: {canonical!r}"

    return accept


def settle(gate):
    assert not gate.refused, gate.refused[:3]
    gate.shutdown()


def verify_sigv4(folder, lakana):
    cases = {
        "S3 Tables, a session that ends in the middle": (
            "s3tables", {"type": "s3_tables", "table_bucket_arn": BUCKET}, urllib.parse.quote(BUCKET, safe=""), 60, None),
        "Glue, a catalog inside of an account": (
            "glue", {"type": "glue", "region": "eu-central-1", "account_id": f"{ACCOUNT}:s3tablescatalog"},
            f"catalogs/{ACCOUNT}:s3tablescatalog", 3600, None),
        "Glue, an assumed role": (
            "glue", {"type": "glue", "region": "eu-central-1", "account_id": ACCOUNT}, f"catalogs/{ACCOUNT}", 3600,
            {"arn": f"arn:aws:iam::{ACCOUNT}:role/loader", "external_id": "outside"}),
    }
    for name, (service, catalog, prefix, life, role) in cases.items():
        gate = Gate(lakana, prefix, signed_by_botocore(service, "eu-central-1"))
        gate.life = life
        catalog |= {"endpoint": f"{gate.address}/iceberg", **({"role": role} if role else {})}
        environment = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{gate.address}/credentials", "AWS_EC2_METADATA_DISABLED": "true",
                       "AWS_ENDPOINT_URL_STS": gate.address, "HOME": str(folder)}
        cells = cycle(BINARY, folder, {"catalog": catalog, "namespace": NAMESPACE},
                      lambda: lakana.readings(gate.environment), environment, maintenance=COMPACTION)
        sessions = gate.given
        assert gate.empty > 10, "requests without a body"
        if life == 60:
            assert sessions > 20, f"{sessions} sessions: they end too soon to be used twice"
        if role:
            assert gate.forms and all(form["ExternalId"] == ["outside"] for form in gate.forms), gate.forms
        settle(gate)
        say(f"  {name}: {gate.passed} requests accepted by botocore's signer, {gate.empty} of them without a body, {sessions} "
            f"sessions; {cells} cells equal, by both readers")
    gate = Gate(lakana, "", signed_by_botocore("glue", "eu-central-1"))
    config = {"catalog": {"type": "glue", "region": "eu-central-1", "account_id": ACCOUNT, "endpoint": f"{gate.address}/iceberg"},
              "storage": {"type": "s3", "access_key_id": "AKIA0", "secret_access_key": "the-wrong-secret"}}
    gate.keys["AKIA0"] = ("the-right-secret", None)
    said = json.dumps(run(BINARY, "check", config, folder))
    assert "botocore signs otherwise" in said and "FAILED" in said and "wrong-secret" not in said, said
    gate.shutdown()
    say("  a wrong key is refused: the gate can refuse")


def verify_key_pair(folder, lakana):
    gate = Gate(lakana, "prefix", lambda _, __, ___, headers, ____: None if headers["Authorization"] == "Bearer given-token"
                else "another token")
    for cipher in (["-nocrypt"], ["-v2", "aes-256-cbc"], ["-v2", "des3"]):
        gate.forms.clear()
        plain, key, public = folder / "plain.pem", folder / "key.p8", folder / "public.pem"
        subprocess.run(["openssl", "genrsa", "-out", plain, "2048"], check=True, capture_output=True)
        passphrase = [] if cipher == ["-nocrypt"] else ["-passout", "pass:the passphrase"]
        subprocess.run(["openssl", "pkcs8", "-topk8", *cipher, "-in", plain, "-out", key, *passphrase], check=True)
        subprocess.run(["openssl", "rsa", "-in", plain, "-pubout", "-out", public], check=True, capture_output=True)
        der = subprocess.run(["openssl", "rsa", "-in", plain, "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
        fingerprint = base64.b64encode(hashlib.sha256(der).digest()).decode()
        authentication = {"type": "key_pair", "account": "myorg-account", "user": "loader", "private_key_file": str(key),
                          "scope": "session:role:LOADER", **({"passphrase": "the passphrase"} if passphrase else {})}
        config = {"catalog": {"type": "rest", "uri": gate.address, "authentication": authentication}, "namespace": NAMESPACE}
        checked = run(BINARY, "check", config, folder)
        assert checked[-1]["connectionStatus"]["status"] == "SUCCEEDED", checked
        (form,) = gate.forms
        assert form["scope"] == ["session:role:LOADER"] and "client_id" not in form, form
        verifier = serialization.load_pem_public_key(public.read_bytes())
        claims = jwt.decode(form["client_secret"][0], verifier, algorithms=["RS256"],
                            issuer=f"MYORG-ACCOUNT.LOADER.SHA256:{fingerprint}", options={"require": ["exp", "iat", "iss", "sub"]})
        assert claims["sub"] == "MYORG-ACCOUNT.LOADER" and claims["exp"] - claims["iat"] <= 3600, claims
    settle(gate)
    say("  key pair: PyJWT verifies the JWT of a plain key and of two encrypted ones")


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        lakana = Lakana(folder)
        try:
            say("a REST catalog from PyPI:")
            gate = Gate(lakana, "prefix", lambda *_: None)
            config = {"catalog": {"type": "rest", "uri": gate.address, "authentication": {"type": "bearer", "token": lakana.token}},
                      "namespace": NAMESPACE}
            cells = cycle(BINARY, folder, config, lambda: lakana.readings(gate.environment), secrets=[lakana.token],
                          maintenance=COMPACTION)
            settle(gate)
            say(f"  lakana: {cells} cells equal, by both readers")
            say("signatures:")
            verify_key_pair(folder, lakana)
            verify_sigv4(folder, lakana)
        finally:
            lakana.stop()
    say("All catalogs passed.")


if __name__ == "__main__":
    main()
