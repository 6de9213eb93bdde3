"""A body that names a member twice is refused, however it hides that; no other body is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask, request
from hypothesis import given
from hypothesis import strategies as st

from pki.errors import BadInput
from web.parsing import json_object

names = st.sampled_from(["a", "b", ":", "a:", '"', "\\", "ü:", "\u2028"])


def members(pairs: list[tuple[str, str]]) -> str:
    """Write an object, repetitions included."""
    return "{" + ", ".join(f"{json.dumps(name)}:{value}" for name, value in pairs) + "}"


pieces = st.recursive(
    names.map(json.dumps) | st.integers().map(str) | st.just("null"),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.lists(st.tuples(names, inner), max_size=3).map(members)
    ),
    max_leaves=8,
)


def repeats(text: str) -> bool:
    """Ask a reader that shows every member."""
    found: list[bool] = []

    def hook(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found.append(len(dict(pairs)) < len(pairs))
        return dict(pairs)

    json.loads(text, object_pairs_hook=hook)
    return any(found)


def read(text: str) -> object:
    """Read a body as the service does."""
    with Flask("x").test_request_context("/", data=text, content_type="application/json"):
        return json_object(request)


@given(pairs=st.lists(st.tuples(names, pieces), max_size=4))
def test_a_repeated_name_is_refused_and_nothing_else(pairs: list[tuple[str, str]]) -> None:
    text = members(pairs)
    if repeats(text):
        with pytest.raises(BadInput) as caught:
            read(text)
        assert caught.value.code == "json_name_repeated"
    else:
        assert read(text) == json.loads(text)


@given(count=st.integers(0, 3), colons=st.integers(0, 3))
def test_escaped_colons_do_not_hide_a_repetition(count: int, colons: int) -> None:
    """An escape gives the parsed value a colon that the body lacks."""
    hidden = "\\u003a" * colons
    body = '{"x": "' + hidden + '"' + ', "a": 1' * count + "}"
    if count > 1:
        with pytest.raises(BadInput) as caught:
            read(body)
        assert caught.value.code == "json_name_repeated"
    else:
        assert read(body)
