"""``batch IN OUT``: whole files, JSON lines in and out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cloudops.runtime.batch import batch
from cloudops.runtime.errors import BadRequest, Problem
from cloudops.runtime.formats import answer_format, read

PREDICTOR = """
from cloudops.runtime import BadRequest

def load(model_dir):
    return 2

def predict(model, instances):
    if any(row.get("x") is None for row in instances):
        raise BadRequest("x is missing")
    return [model * row["x"] for row in instances]
"""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "model").mkdir()
    (tmp_path / "predictor.py").write_text(PREDICTOR)
    return {"CLOUDOPS_MODEL_DIR": str(tmp_path / "model"), "CLOUDOPS_PREDICTOR": str(tmp_path / "predictor.py")}


def lines(path: Path) -> list[object]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_row_in_order_over_several_chunks(tmp_path: Path, environ: dict[str, str]) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("\n".join(json.dumps({"x": n}) for n in range(1234)) + "\n\n")
    assert batch(rows, tmp_path / "out", environ) == 0
    assert lines(tmp_path / "out" / "rows.jsonl.out") == [2 * n for n in range(1234)]


def test_a_folder_is_taken_with_what_is_below_it(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "in" / "deeper").mkdir(parents=True)
    (tmp_path / "in" / "a.jsonl").write_text('{"x": 1}\n')
    (tmp_path / "in" / "deeper" / "b.jsonl").write_text('{"x": 5}')
    assert batch(tmp_path / "in", tmp_path / "out", environ) == 0
    assert lines(tmp_path / "out" / "deeper" / "b.jsonl.out") == [10]


@pytest.mark.parametrize(("bad", "said"), [("{}", "x is missing"), ("{x}", "line 502 is not JSON")])
def test_a_bad_row_leaves_no_half_file_and_says_where(
    tmp_path: Path, environ: dict[str, str], bad: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"x": 1}\n' * 501 + bad)
    assert batch(rows, tmp_path / "out", environ) == 1
    error = capsys.readouterr().err
    assert said in error
    assert "rows.jsonl, the 2 rows from line 501" in error
    assert not (tmp_path / "out" / "rows.jsonl.out").exists()


def test_nothing_to_predict_is_no_success(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(Problem, match="no rows"):
        batch(tmp_path / "in", tmp_path / "out", environ)


def test_a_model_that_cannot_be_loaded(tmp_path: Path, environ: dict[str, str]) -> None:
    Path(environ["CLOUDOPS_PREDICTOR"]).write_text("1 / 0")
    (tmp_path / "rows.jsonl").write_text('{"x": 1}\n')
    assert batch(tmp_path / "rows.jsonl", tmp_path / "out", environ) == 3


def test_the_server_speaks_json_lines_too() -> None:
    assert read(b'{"x": 1}\n\n{"x": 2}\n', "application/jsonlines").rows == [{"x": 1}, {"x": 2}]
    assert answer_format("application/jsonlines").write([1, {"a": "é"}]) == '1\n{"a": "é"}\n'.encode()
    with pytest.raises(BadRequest, match="line 3 is not JSON"):
        read(b"1\n\n]", "application/jsonlines")
