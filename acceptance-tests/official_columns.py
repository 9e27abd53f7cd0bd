"""Writes tests/facts/airbyte_source_asana.json: the columns of airbyte-source-asana, as its manifest declares them.

    pip download airbyte-source-asana==1.7.2 --no-deps
    python3 acceptance-tests/official_columns.py airbyte_source_asana-1.7.2-py3-none-any.whl

Needs PyYAML, which the connector itself needs too.
"""

import json
import sys
import zipfile
from pathlib import Path

import yaml

FACTS = Path(__file__).resolve().parent.parent / "tests/facts/airbyte_source_asana.json"


def resolved(manifest, node):
    """The node with references into the manifest followed."""
    if isinstance(node, str) and node.startswith("#/"):
        part = manifest
        for name in node[2:].split("/"):
            part = part[name]
        return resolved(manifest, part)
    if isinstance(node, dict) and "$ref" in node:
        found = dict(resolved(manifest, node["$ref"]))
        found.update({name: value for name, value in node.items() if name != "$ref"})
        return found
    return node


def column_type(manifest, schema):
    """A column's type as one word: `string`, `string/date-time`, `array of object`, `any`."""
    schema = resolved(manifest, schema)
    types = schema.get("type", [])
    types = [name for name in ([types] if isinstance(types, str) else types) if name != "null"]
    if len(types) != 1:
        return "any"
    kind = types[0]
    if kind == "array":
        return "array of " + column_type(manifest, schema.get("items", {}))
    return kind + ("/" + schema["format"] if "format" in schema else "")


def main(wheel):
    with zipfile.ZipFile(wheel) as archive:
        manifest = yaml.safe_load(archive.read("source_asana/manifest.yaml"))
    streams = {}
    for stream in manifest["streams"]:
        stream = resolved(manifest, stream)
        loader = resolved(manifest, stream["schema_loader"])
        schema = resolved(manifest, loader["schema"])
        columns = {name: column_type(manifest, column) for name, column in schema["properties"].items()}
        streams[stream["name"]] = dict(sorted(columns.items()))
    version = Path(wheel).name.split("-")[1]
    facts = {
        "about": f"The columns of airbyte-source-asana {version} (PyPI), written by acceptance-tests/official_columns.py.",
        "version": version,
        "streams": dict(sorted(streams.items())),
    }
    FACTS.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
