"""How CloudWatch's pages are read that the offline cloud never gives."""

from __future__ import annotations

from typing import Any

from cloudops_sagemaker.logs import Logs, _Reader


class Sparse:
    """A service whose answers are empty now and then, though more follows."""

    pages: tuple[tuple[str, ...], ...] = ((), ("one",), (), (), ("two", "three"))

    def service(self, name: str) -> Sparse:
        return self

    def get_log_events(self, *, nextToken: str = "0", **given: Any) -> dict[str, Any]:
        at = int(nextToken)
        events = [{"timestamp": at, "message": text} for text in self.pages[at]] if at < len(self.pages) else []
        return {"events": events, "nextForwardToken": str(min(at + 1, len(self.pages)))}


def test_empty_pages_do_not_end_a_log() -> None:
    client: Any = Sparse()
    reader = _Reader(client, "group")
    assert [line.text for line in reader.take(["job/algo-1-1"])] == ["one", "two", "three"]
    assert reader.take(["job/algo-1-1"]) == []
    assert [line.text for line in Logs(client)._lines("group", "job/algo-1-1")] == ["one", "two", "three"]
