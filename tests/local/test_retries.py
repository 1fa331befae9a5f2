"""What one attempt of a job leaves to the next."""

from __future__ import annotations

from pathlib import Path

from cloudops_local.layout import Layout

from cloudops.session import Session
from cloudops.testing.projects import job

AGAIN = """
if test -e "$CLOUDOPS_CHECKPOINT_DIR/seen"; then name=whole; else name=part; fi
touch "$CLOUDOPS_CHECKPOINT_DIR/seen" $name
for folder in "$CLOUDOPS_MODEL_DIR" "$CLOUDOPS_OUTPUT_DIR" "$CLOUDOPS_OUTPUT_TABLE"; do touch "$folder/$name"; done
test $name = whole
"""


def test_files_of_a_failed_attempt_do_not_end_up_in_the_model(session: Session, layout: Layout) -> None:
    spec = job("nothing").model_copy(update={"command": AGAIN, "retries": 1, "outputs": ["table"]})
    made = session.train(spec)
    assert made.wait().attempt == 2
    folder = layout.job(made.ref.id)
    for filled in (folder.model, folder.output, folder.named_output("table")):
        assert _names(filled) == ["whole"]
    assert {"part", "whole"} <= set(_names(folder.code)), "the working directory stays as it is"


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
