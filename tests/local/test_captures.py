from __future__ import annotations

import json
import os
from pathlib import Path

from cloudops_local.captures import read


def test_a_file_that_a_replica_removes_while_it_is_read_about(tmp_path: Path) -> None:
    for number in range(3):
        path = tmp_path / "1" / f"{number}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"time": 50 + number, "inputs": [number], "outputs": [number]}) + "\n")
        os.utime(path, (100 + number, 100 + number))
    found = read(tmp_path, 0, 1000)
    first = next(found)
    (tmp_path / "1" / "1.jsonl").unlink()
    assert [first.inputs, *(each.inputs for each in found)] == [[0], [2]]
