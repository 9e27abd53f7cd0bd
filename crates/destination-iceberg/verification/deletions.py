"""Deleted tasks with everything that hung on them, where the source's state has no room to remember what that was.

    deletions.py <folder of binaries> <scale of the world>

One task in a hundred is deleted between two syncs. Then no table has a row that the account does not have, and the source
has reported fewer deletions than there were rows to delete.
"""

import pathlib
import sys
import tempfile

from pipe import Pipe, say
from tables import Warehouse
from world import World

# The streams, and the column of each that names its parent.
STREAMS = {"tasks": None, "subtasks": "parent_gid", "stories": "task_gid", "attachments": "parent_gid"}
# The smallest that the config allows. The big world outgrows the usual limit by itself.
STATE_LIMITS = {"medium": 10_000}


def gids(warehouse, stream):
    """By both readers, which have to agree."""
    by_reader = [set(arrow["gid"].to_pylist()) for arrow in warehouse.readings(stream).values()]
    assert by_reader[0] == by_reader[1], f"the readers disagree on {stream}"
    return by_reader[0]


def main():
    binaries, scale = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2] if len(sys.argv) > 2 else "medium"
    limit = {"state_limit_bytes": STATE_LIMITS[scale]} if scale in STATE_LIMITS else {}
    with tempfile.TemporaryDirectory() as folder, World(binaries, scale) as world:
        folder = pathlib.Path(folder)
        pipe = Pipe(binaries, folder, world, "incremental", streams=STREAMS, source=limit)
        pipe.sync()
        before = {stream: gids(Warehouse(pipe.database), stream) for stream in STREAMS}
        listed = [task["gid"] for task in world.records("tasks", ["gid", "parent.gid", "projects.gid"])
                  if task["projects"] and not task["parent"]]
        # The oldest among them too: a full state forgets these first.
        deleted = listed[::100]
        world.control("POST", "/clock", {"advance_seconds": 1800})
        for gid in deleted:
            world.control("POST", "/edits", {"kind": "delete_task", "task": gid})
        world.control("POST", "/clock", {"advance_seconds": 1800})
        pipe.sync()
        _, _, reported = pipe.records()
        gone = 0
        for stream, parent in STREAMS.items():
            must, may = world.truth(stream, {"gid": {}} | ({parent: {}} if parent else {}))
            now = gids(Warehouse(pipe.database), stream)
            missing = {gid for (gid,) in must} - now
            left = now - {gid for (gid,) in must} - {gid for (gid,) in may}
            assert not missing, f"{stream}: {len(missing)} rows are missing"
            assert not left, f"{stream}: {len(left)} rows of deleted tasks are left"
            gone += len(before[stream] - now)
        say(f"{len(deleted)} of {len(listed)} tasks of the {scale} world were deleted: {gone} rows are gone, of which the "
            f"source reported {reported}; none is left, by both readers")
        assert gone > reported, "the state had room for everything, so this proves nothing"


if __name__ == "__main__":
    main()
