"""Ways to sign in other than by a token in the config: OAuth, by the official connector's own config file, against
the simulated account's token endpoint; and AWS Secrets Manager, against moto's server."""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import time

import boto3
import judge
from acceptance import CONFIG, OFFICIAL_OAUTH, UNKNOWN_STREAM, Run, Verdict, World, configured_catalog, control, run_connector

HOME = pathlib.Path(os.environ["SUITE_DIRECTORY"])
REGION = "eu-central-1"
TOKEN = json.loads(CONFIG.read_text())["token"]
STREAMS = ("workspaces", "users", "projects", "tags", "tasks")


def write(name: str, content) -> pathlib.Path:
    path = HOME / name
    path.write_text(json.dumps(content))
    return path


def fast(config: dict) -> dict:
    """The same at a pace for which nobody has to wait."""
    return {**config, "rate_limit": {"mode": "fixed", "requests_per_minute": 60_000}}


class Signing:
    """Checks and reads, each of them judged."""

    def __init__(self, verdict: Verdict):
        self.verdict = verdict
        discovered = run_connector(["discover", "--config", CONFIG]).payloads("CATALOG")[0]
        streams = [stream for stream in discovered["streams"] if stream["name"] in STREAMS]
        self.catalog = write("catalog.json", configured_catalog({"streams": streams}))

    def check(self, what: str, config: pathlib.Path, right: str, environment=None) -> str:
        run = run_connector(["check", "--config", config], environment)
        run.right_status = right
        self.verdict.check(f"{what}: {right}", judge.problems(run))
        statuses = run.payloads("CONNECTION_STATUS")
        return statuses[0].get("message", "") if statuses else ""

    def read(self, what: str, config: pathlib.Path, environment=None, exit_code: int = 0) -> Run:
        run = run_connector(["read", "--config", config, "--catalog", self.catalog], environment)
        self.verdict.check(f"{what}: what a platform relies on", judge.problems(run))
        read = {record["stream"] for record in run.payloads("RECORD")}
        right = run.exit_code == exit_code and (exit_code != 0 or read == set(STREAMS))
        self.verdict.check(f"{what}: exit code {exit_code}", right or [f"{run.exit_code}, records of {sorted(read)}"])
        return run


def oauth(verdict: Verdict, signing: Signing) -> None:
    official = json.loads(OFFICIAL_OAUTH.read_text())
    signing.check("the official OAuth config, unchanged", OFFICIAL_OAUTH, "SUCCEEDED")
    config = write("oauth.json", fast(official))
    run = signing.read("a read by OAuth", config)
    verdict.check("a read by OAuth: the refresh token stays, so no CONTROL", not run.payloads("CONTROL"))

    control("/faults", {"pattern": "/tags", "status": 401, "times": 1})
    control("/requests", method="DELETE")
    signing.read("a 401 in the middle of a sync", config)
    refused = [request["path"] for request in control("/requests")["data"] if request["status"] == 401]
    verdict.check("a 401 in the middle of a sync: it came, once", refused == ["/tags"] or [str(refused)])

    for field in ("client_id", "client_secret", "refresh_token"):
        wrong = {**official, "credentials": {**official["credentials"], field: "something-else"}}
        signing.check(f"OAuth with another {field}", write("wrong.json", wrong), "FAILED")
    unknown = run_connector(["read", "--config", config, "--catalog", write("unknown.json", UNKNOWN_STREAM)])
    verdict.check("a read by OAuth that fails says why", judge.problems(unknown))


def replaced(verdict: Verdict, signing: Signing) -> None:
    """Where each use of a refresh token gives another, the platform is told, with the whole config."""
    with World("--replace-refresh-token") as world:
        environment = {"ASANA_BASE_URL": world.base_url}
        config = fast(json.loads(OFFICIAL_OAUTH.read_text()))
        first = signing.read("a refresh token that is replaced", write("first.json", config), environment)
        told = [message["connectorConfig"]["config"] for message in first.payloads("CONTROL")]
        fields = {**config["credentials"], "refresh_token": None}
        is_whole = len(told) == 1 and {**told[0], "credentials": {**told[0]["credentials"], "refresh_token": None}} == {
            **config, "credentials": fields}
        verdict.check("a refresh token that is replaced: one CONTROL, with the whole config",
                      is_whole or [f"{len(told)} CONTROL messages"])
        signing.check("the refresh token that was replaced", write("first.json", config), "FAILED", environment)
        if is_whole:
            signing.check("the config of the CONTROL", write("next.json", told[0]), "SUCCEEDED", environment)


@contextlib.contextmanager
def secrets_manager():
    """Moto's server, and the variables that lead the AWS SDKs to it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    server = subprocess.Popen(
        [pathlib.Path(sys.executable).parent / "moto_server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            if server.poll() is not None or time.monotonic() > end:
                raise SystemExit("moto's server did not start")
            time.sleep(0.05)
        yield {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "an-access-key",
            "AWS_SECRET_ACCESS_KEY": "a-secret-access-key",
            "AWS_EC2_METADATA_DISABLED": "true",
            # Nothing of this machine's own AWS settings.
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }
    finally:
        server.kill()
        server.wait()


def aws(verdict: Verdict, signing: Signing) -> None:
    with secrets_manager() as environment:
        client = boto3.client(
            "secretsmanager", region_name=REGION, endpoint_url=environment["AWS_ENDPOINT_URL"],
            aws_access_key_id="an-access-key", aws_secret_access_key="a-secret-access-key",
        )
        client.create_secret(Name="asana/token", SecretString=json.dumps({"token": TOKEN, "other": "refused"}))
        client.create_secret(Name="asana/keyed", SecretString=json.dumps({"asana_pat": TOKEN}))
        client.create_secret(Name="asana/text", SecretString=TOKEN)
        client.create_secret(Name="asana/binary", SecretBinary=TOKEN.encode())
        arn = client.describe_secret(SecretId="asana/token")["ARN"]

        def config(secret: str, **fields) -> pathlib.Path:
            credentials = {"option_title": "AWS Secrets Manager", "secret_id": secret, **fields}
            name = f"aws-{secret.rsplit('/', 1)[-1]}-{len(list(HOME.iterdir()))}.json"
            return write(name, fast({"credentials": credentials}))

        signing.check("a secret by name", config("asana/token", region=REGION), "SUCCEEDED", environment)
        signing.check("a secret by ARN, which names the region", config(arn), "SUCCEEDED", environment)
        signing.check("the region of the machine", config("asana/token"), "SUCCEEDED",
                      {**environment, "AWS_REGION": REGION})
        signing.check("another key", config("asana/keyed", region=REGION, json_key="asana_pat"), "SUCCEEDED", environment)
        signing.check("a token that Asana refuses", config("asana/token", region=REGION, json_key="other"), "FAILED",
                      environment)
        signing.read("a read with the token from AWS", config("asana/token", region=REGION), environment)

        unsigned = {name: value for name, value in environment.items() if "KEY" not in name}
        for what, path, words, variables in (
            ("no such secret", config("asana/none", region=REGION), ["asana/none", "region"], environment),
            ("the key is not in the secret", config("asana/keyed", region=REGION), ["asana/keyed", "`token`"], environment),
            ("the secret is no JSON", config("asana/text", region=REGION), ["asana/text", "JSON"], environment),
            ("the secret is binary", config("asana/binary", region=REGION), ["asana/binary", "binary"], environment),
            ("no region", config("asana/token"), ["region"], environment),
            ("no AWS credentials", config("asana/token", region=REGION), ["credentials"], unsigned),
        ):
            told = signing.check(what, path, "FAILED", variables)
            missing = [word for word in words if word not in told]
            verdict.check(f"{what}: said plainly", [f"{missing} not in: {told}"] if missing else [])


def main() -> None:
    verdict = Verdict("sign_in")
    signing = Signing(verdict)
    oauth(verdict, signing)
    replaced(verdict, signing)
    aws(verdict, signing)
    verdict.end()


main()
