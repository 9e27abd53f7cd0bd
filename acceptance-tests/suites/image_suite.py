"""Builds the image and holds it against what Airbyte's platform needs of one; then the CDK's standard suite for images
runs in it, as the image's own user on a read-only root."""

import json
import os
import pathlib
import re
import shutil
import statistics
import struct
import subprocess
import sys
import time
import zlib

import yaml
from acceptance import CONFIG, HERE, Verdict

IMAGE = HERE / "image.sh"
MOST_BYTES = 45_000_000
CANNOT = 75
# So often the program is started to see how long it takes until its first message.
STARTS = 21


def image(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["bash", IMAGE, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False
    )


def main() -> None:
    verdict = Verdict("image")
    built = image("build")
    if built.returncode == CANNOT:
        verdict.skip("the image is not built", built.stdout.strip())
        sys.exit(CANNOT)
    verdict.check("the Dockerfile builds", [] if built.returncode == 0 else [built.stderr[-3000:]])
    if built.returncode != 0:
        verdict.end()
    name = f"source-asana:{yaml.safe_load((HERE.parent / 'metadata.yaml').read_text())['data']['dockerImageTag']}"
    settings(verdict, name)
    inside(verdict, name)
    program = fetch(name)
    dependencies(verdict, program)
    first_message(program)
    cdk(verdict, name)
    verdict.end()


def settings(verdict: Verdict, name: str) -> None:
    told = json.loads(image("inspect").stdout)
    environment = dict(entry.split("=", 1) for entry in told["environment"])
    verdict.check("AIRBYTE_ENTRYPOINT is the entrypoint, by its absolute path",
                  environment.get("AIRBYTE_ENTRYPOINT") == " ".join(told["entrypoint"])
                  and told["entrypoint"][0].startswith("/"))
    labels = {"io.airbyte.name": name.split(":")[0], "io.airbyte.version": name.split(":")[1],
              "org.opencontainers.image.title": name.split(":")[0],
              "org.opencontainers.image.version": name.split(":")[1], "org.opencontainers.image.licenses": "MIT"}
    verdict.check("the labels are metadata.yaml's name and version",
                  [f"{label} is {told['labels'].get(label)}" for label, value in labels.items()
                   if told["labels"].get(label) != value])
    verdict.check("it runs as 1000:1000", told["user"] == "1000:1000")
    megabytes = told["bytes"] / 1_000_000
    verdict.check(f"it is {megabytes:.1f} MB in all, at most {MOST_BYTES // 1_000_000}",
                  told["bytes"] <= MOST_BYTES)


def inside(verdict: Verdict, name: str) -> None:
    """What the platform's start script needs, asked of a shell in the image."""
    questions = """
        id -u; id -g; id -un
        for file in /bin/dpkg /sbin/apk /usr/bin/apt /usr/bin/dpkg /usr/bin/perl /var/lib/dpkg; do
            if [ -e "$file" ]; then echo "there is $file"; fi
        done
        for program in sh mv sleep mkfifo; do command -v "$program" >/dev/null || echo "no $program"; done
        test -s /etc/ssl/certs/ca-certificates.crt || echo "no CA certificates"
        test "$(stat -c %u:%g /airbyte)" = 1000:1000 || echo "/airbyte is not airbyte's"
        touch /airbyte/file 2>/dev/null && echo "the root is not read-only"
        cd / && $AIRBYTE_ENTRYPOINT spec | head -c 14
    """
    answers = image("run", "--entrypoint", "sh", name, "-c", questions)
    verdict.check("user, shell, certificates and a read-only root are as they have to be",
                  answers.stdout.split() == ["1000", "1000", "airbyte", '{"type":"SPEC"'] or
                  [answers.stdout + answers.stderr])


def fetch(name: str) -> pathlib.Path:
    """The image's program, as a file."""
    program = pathlib.Path(os.environ["SUITE_DIRECTORY"]) / "source-asana"
    with open(program, "wb") as file:
        subprocess.run(["bash", IMAGE, "run", "--entrypoint", "cat", name, "/usr/local/bin/source-asana"],
                       stdout=file, check=True)
    program.chmod(0o755)
    return program


def dependencies(verdict: Verdict, program: pathlib.Path) -> None:
    """The list that `cargo auditable` has written into the program: a section of zlib-compressed JSON. Scanners read
    it there."""
    names = set()
    section = elf_section(program.read_bytes(), b".dep-v0")
    if section is not None:
        names = {package["name"] for package in json.loads(zlib.decompress(section))["packages"]}
    verdict.check(f"the program lists its {len(names)} dependencies", {"source-asana", "tokio", "rustls"} <= names)


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
    """How long the image's program takes from its start to its first line; a figure, and no verdict: a busy machine
    is slow."""
    catalog = HERE.parent / "catalogs" / "full_refresh.json"
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
