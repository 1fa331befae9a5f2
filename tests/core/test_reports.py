"""Where the reports of the monitor step go."""

from __future__ import annotations

from pathlib import Path

from cloudops.monitoring import assess
from cloudops.watch import _written


def test_reports_of_the_same_second_lie_side_by_side(tmp_path: Path) -> None:
    report = assess("small", [])
    pages = [_written(report, "small", tmp_path, None) for _ in range(3)]
    assert len({page.html for page in pages}) == len({page.json for page in pages}) == 3
    assert all(page.html.read_text().startswith("<!") and page.json.is_file() for page in pages)


def test_a_page_that_is_named_is_written_there_again(tmp_path: Path) -> None:
    report = assess("small", [])
    page = tmp_path / "page.html"
    assert {_written(report, "small", tmp_path, page).html for _ in range(2)} == {page}
