"""Builds the images of the connector and of the destination and checks that each has what Airbyte's platform needs of one.
Then the CDK's standard suite for images runs in the connector's, as the image's own user on a read-only root, and a table is
written by the destination's."""

import json
import os
import pathlib
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zlib

import yaml
from acceptance import CONFIG, HERE, Verdict

IMAGE = HERE / "image.sh"
ROOT = HERE.parent
# Where each image's metadata is, and how large the image may be. The suite builds with the cargo profile `quick`, whose
# programs are larger and slower than those of a release.
IMAGES = {"source-asana": (ROOT, 45_000_000), "destination-iceberg": (ROOT / "crates" / "destination-iceberg", 100_000_000)}
CANNOT = 75
# So often the program is started to see how long it takes until its first message.
STARTS = 21


def image(program: str, *arguments: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["bash", IMAGE, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False,
        env={**os.environ, "PROGRAM": program}, **options,
    )


def metadata(program: str) -> dict:
    return yaml.safe_load((IMAGES[program][0] / "metadata.yaml").read_text())["data"]


def main() -> None:
    verdict = Verdict("image")
    for program in IMAGES:
        built = image(program, "build")
        if built.returncode == CANNOT:
            verdict.skip(f"the image of {program} is not built", built.stdout.strip())
            sys.exit(CANNOT)
        verdict.check(f"{program}: the Dockerfile builds", [] if built.returncode == 0 else [built.stderr[-3000:]])
        if built.returncode != 0:
            verdict.end()
        name = f"{program}:{metadata(program)['dockerImageTag']}"
        files(verdict, program)
        settings(verdict, program, name)
        inside(verdict, program, name)
        fetched = fetch(program, name)
        dependencies(verdict, program, fetched)
        if program == "source-asana":
            first_message(fetched)
            cdk(verdict, name)
        else:
            table(verdict, name)
    verdict.end()


def files(verdict: Verdict, program: str) -> None:
    """What the registry reads beside the image."""
    folder = IMAGES[program][0]
    data = metadata(program)
    verdict.check(f"{program}: metadata.yaml names it, and its icon is there",
                  data["dockerRepository"] == program and data["connectorType"] == program.split("-")[0]
                  and (folder / data["icon"]).read_text().startswith("<svg"))


def settings(verdict: Verdict, program: str, name: str) -> None:
    inspected = json.loads(image(program, "inspect").stdout)
    environment = dict(entry.split("=", 1) for entry in inspected["environment"])
    verdict.check(f"{program}: AIRBYTE_ENTRYPOINT is the entrypoint, by its absolute path",
                  environment.get("AIRBYTE_ENTRYPOINT") == " ".join(inspected["entrypoint"])
                  and inspected["entrypoint"][0].startswith("/"))
    version = name.split(":")[1]
    labels = {"io.airbyte.name": program, "io.airbyte.version": version, "org.opencontainers.image.title": program,
              "org.opencontainers.image.version": version, "org.opencontainers.image.licenses": "MIT"}
    verdict.check(f"{program}: the labels are metadata.yaml's name and version",
                  [f"{label} is {inspected['labels'].get(label)}" for label, value in labels.items()
                   if inspected["labels"].get(label) != value])
    verdict.check(f"{program}: it runs as 1000:1000", inspected["user"] == "1000:1000")
    verdict.check(f"{program}: it has one layer and no base image", inspected["layers"] == 1 or [f"{inspected['layers']} layers"])
    most = IMAGES[program][1]
    verdict.check(f"{program}: it is {inspected['bytes'] / 1_000_000:.1f} MB in all, at most {most // 1_000_000}",
                  inspected["bytes"] <= most)


def inside(verdict: Verdict, program: str, name: str) -> None:
    """What the platform's start script needs, asked of a shell in the image. Its own spec is what the repository has."""
    questions = """
        id -u; id -g; id -un
        for file in /bin/dpkg /sbin/apk /usr/bin/apt /usr/bin/dpkg /usr/bin/perl /var/lib/dpkg; do
            if [ -e "$file" ]; then echo "there is $file"; fi
        done
        for program in apk apt dpkg rpm; do command -v "$program"; done
        for program in sh mv sleep mkfifo; do command -v "$program" >/dev/null || echo "no $program"; done
        test -s /etc/ssl/certs/ca-certificates.crt || echo "no CA certificates"
        test "$(stat -c %u:%g /airbyte)" = 1000:1000 || echo "/airbyte is not airbyte's"
        touch /airbyte/file 2>/dev/null && echo "the root is not read-only"
        cd / && $AIRBYTE_ENTRYPOINT spec | head -c 14
    """
    answers = image(program, "run", "--entrypoint", "sh", name, "-c", questions)
    verdict.check(f"{program}: user, shell, certificates and a read-only root are as they have to be",
                  answers.stdout.split() == ["1000", "1000", "airbyte", '{"type":"SPEC"'] or
                  [answers.stdout + answers.stderr])
    printed = json.loads(image(program, "run", name, "spec").stdout)["spec"]
    verdict.check(f"{program}: it prints spec.json", printed == json.loads((IMAGES[program][0] / "spec.json").read_text()))


def fetch(program: str, name: str) -> pathlib.Path:
    """The image's program, as a file."""
    fetched = pathlib.Path(os.environ["SUITE_DIRECTORY"]) / program
    with open(fetched, "wb") as file:
        subprocess.run(["bash", IMAGE, "run", "--entrypoint", "cat", name, f"/usr/local/bin/{program}"],
                       stdout=file, check=True)
    fetched.chmod(0o755)
    return fetched


def dependencies(verdict: Verdict, program: str, fetched: pathlib.Path) -> None:
    """The list that `cargo auditable` has written into the program: a section of zlib-compressed JSON. Scanners read
    it there."""
    names = set()
    section = elf_section(fetched.read_bytes(), b".dep-v0")
    if section is not None:
        names = {package["name"] for package in json.loads(zlib.decompress(section))["packages"]}
    verdict.check(f"{program}: the program lists its {len(names)} dependencies", {program, "tokio", "rustls"} <= names)


def elf_section(elf: bytes, wanted: bytes) -> bytes | None:
    """The content of a section of a 64-bit little-endian ELF file."""
    [table] = struct.unpack_from("<Q", elf, 40)
    size, count, names = struct.unpack_from("<HHH", elf, 58)
    headers = [struct.unpack_from("<IIQQQQ", elf, table + index * size) for index in range(count)]
    start_of_names = headers[names][4]
    for name, _, _, _, offset, length in headers:
        start = start_of_names + name
        if elf[start:elf.index(b"\0", start)] == wanted:
            return elf[offset:offset + length]
    return None


def first_message(program: pathlib.Path) -> None:
    """How long the image's program takes from its start to its first line; a figure of an unoptimised program, and no verdict:
    a busy machine is slow."""
    catalog = ROOT / "catalogs" / "full_refresh.json"
    for arguments in (["spec"], ["discover", "--config", CONFIG], ["read", "--config", CONFIG, "--catalog", catalog]):
        times = []
        for _ in range(STARTS):
            start = time.perf_counter()
            process = subprocess.Popen([program, *map(str, arguments)], stdout=subprocess.PIPE)
            process.stdout.readline()
            times.append(1000 * (time.perf_counter() - start))
            process.kill()
            process.communicate()
        print(f"          start to first message of {arguments[0]}: {statistics.median(times):.1f} ms, "
              f"{min(times):.1f} to {max(times):.1f} ms in {STARTS} starts")


def table(verdict: Verdict, name: str) -> None:
    """The destination's image writes a table into a folder of the host, as the platform would have it: records on stdin."""
    program = "destination-iceberg"
    stream = {"name": "items", "json_schema": {"properties": {"gid": {"type": "string"}}}}
    catalog = {"streams": [{"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "append",
                            "primary_key": [["gid"]], "cursor_field": []}]}
    descriptor = {"stream_descriptor": {"name": "items"}}
    state = {"type": "STATE", "state": {"type": "STREAM", "stream": {**descriptor, "stream_state": {"done": True}}}}
    status = {"type": "STREAM_STATUS", "emitted_at": 1, "stream_status": {**descriptor, "status": "COMPLETE"}}
    messages = [{"type": "RECORD", "record": {"stream": "items", "data": {"gid": str(gid)}, "emitted_at": 1}} for gid in range(9)]
    messages += [state, {"type": "TRACE", "trace": status}]
    with tempfile.TemporaryDirectory(dir=os.environ["SUITE_DIRECTORY"]) as folder:
        path = pathlib.Path(folder)
        os.chown(path, 1000, 1000)
        for file, content in {"config": {"catalog": {"type": "embedded", "warehouse": "/data/warehouse"}}, "catalog": catalog}.items():
            (path / f"{file}.json").write_text(json.dumps(content))
        run = ["run", "--rm", "-i", "-v", f"{path}:/data", name]
        checked = image(program, *run, "check", "--config", "/data/config.json")
        verdict.check(f"{program}: check succeeds in a folder of the host", '"status":"SUCCEEDED"' in checked.stdout
                      or [checked.stdout + checked.stderr])
        written = image(program, *run, "write", "--config", "/data/config.json", "--catalog", "/data/catalog.json",
                        input="".join(json.dumps(message) + "\n" for message in messages))
        answered = [json.loads(line) for line in written.stdout.splitlines()]
        verdict.check(f"{program}: write returns the state", written.returncode == 0 and state in answered
                      or [written.stdout + written.stderr])
        verdict.check(f"{program}: the table's files are in the folder", bool(list(path.glob("warehouse/**/*.parquet"))))


def cdk(verdict: Verdict, name: str) -> None:
    stand_in = HERE / "stand-in"
    real = shutil.which("docker")
    environment = {**os.environ, "PATH": f"{stand_in}:{os.environ['PATH']}"}
    if real:
        environment["REAL_DOCKER"] = real
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--tb=line", "-rA", "-p", "no:cacheprovider",
         "-p", "airbyte_cdk.test.standard_tests.pytest_hooks", "-W", "error", "-W", "ignore::DeprecationWarning",
         "--connector-image", name, "--read-from-streams=all", "--rootdir", HERE.parent,
         HERE / "cdk" / "test_image.py"],
        capture_output=True, text=True, check=False, cwd=os.environ["SUITE_DIRECTORY"], env=environment,
    )
    outcomes = re.findall(r"^(PASSED|FAILED|ERROR) (?:\S*::)?(\S+)(.*)", done.stdout, re.MULTILINE)
    for outcome, test, why in outcomes:
        verdict.check(f"CDK: {test}", [] if outcome == "PASSED" else [why.removeprefix(" - ") or outcome])
    summary = done.stdout.strip().splitlines()
    verdict.check(f"CDK: {summary[-1] if summary else 'pytest did not run'}",
                  [] if done.returncode == 0 and outcomes else [done.stdout[-1500:], done.stderr[-1500:]])


main()
