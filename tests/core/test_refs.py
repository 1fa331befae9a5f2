"""Handles as URIs."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudops.refs import KINDS, Phase, Ref

# Names of files may hold any character but NUL and /, and bytes that are not UTF-8, which Python shows as surrogates.
SEGMENT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\x00"), min_size=1, max_size=20)
BYTES = st.binary(min_size=1, max_size=8).map(lambda data: data.decode("utf-8", "surrogateescape").replace("/", "x"))
SCOPE = st.lists(SEGMENT | BYTES, min_size=1, max_size=5).map("/".join)
ID = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@settings(derandomize=True, database=None, deadline=None, max_examples=1000)
@given(SEGMENT, SCOPE, st.sampled_from(KINDS), ID)
def test_a_handle_comes_back_from_its_uri(provider: str, scope: str, kind: str, name: str) -> None:
    ref = Ref(provider, scope, kind, name)
    uri = str(ref)
    assert Ref.parse(uri) == ref
    assert str(Ref.parse(uri)) == uri
    assert uri.isascii()
    assert not any(character.isspace() for character in uri)


@pytest.mark.parametrize(
    ("ref", "uri"),
    [
        (Ref("local", "home/me/my project", "jobs", "x-1"), "cloudops://local/home/me/my%20project/jobs/x-1"),
        (Ref("vertex", "proj/us-central1", "jobs", "123"), "cloudops://vertex/proj/us-central1/jobs/123"),
        (Ref("sagemaker", "eu-west-1", "endpoints", "a"), "cloudops://sagemaker/eu-west-1/endpoints/a"),
        (Ref("local", "tmp/jobs/models", "models", "a/b"), "cloudops://local/tmp/jobs/models/models/a%2Fb"),
        (Ref("local", "tmp/50%", "jobs", "50%25"), "cloudops://local/tmp/50%25/jobs/50%2525"),
        (Ref("local", "漢", "jobs", "a:b"), "cloudops://local/%E6%BC%A2/jobs/a:b"),
    ],
)
def test_uris_look_like_this(ref: Ref, uri: str) -> None:
    assert str(ref) == uri
    assert Ref.parse(uri) == ref


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "cloudops://",
        "cloudops://local",
        "cloudops://local/jobs/x",
        "cloudops://local/scope/job/x",
        "cloudops://local/scope/jobs/",
        "cloudops://local/scope/jobs",
        "cloudops:///scope/jobs/x",
        "cloudops://local//jobs/x",
        "cloudops://local/a//b/jobs/x",
        "CLOUDOPS://local/scope/jobs/x",
        "https://local/scope/jobs/x",
        "cloudops://local/scope/Jobs/x",
        "cloudops://local/scope/jobs/x/",
        "cloudops://local/%2Fscope/jobs/x",
    ],
)
def test_what_is_no_uri_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        Ref.parse(text)
    assert "cloudops://<provider>/<scope>/{jobs|models|endpoints}/<id>" in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "parts",
    [("", "a", "jobs", "x"), ("p", "", "jobs", "x"), ("p", "/a", "jobs", "x"), ("p", "a/", "jobs", "x"),
     ("p", "a//b", "jobs", "x"), ("p", "a", "job", "x"), ("p", "a", "jobs", "")],
)  # fmt: skip
def test_a_handle_that_would_not_come_back_cannot_be_made(parts: tuple[str, str, str, str]) -> None:
    with pytest.raises(ValueError, match="cannot be a handle"):
        Ref(*parts)


def test_a_final_phase_does_not_change_any_more() -> None:
    assert {phase for phase in Phase if phase.final} == {Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED, Phase.DELETED}
