"""`/docs`: every path of the document, nothing from elsewhere, nothing that runs."""

from __future__ import annotations

import base64
import hashlib
import re
from html import escape
from html.parser import HTMLParser

from tests.web.calling import Caller


class Reader(HTMLParser):
    """Collects tags, headings and the addresses that a page leads to."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.ids: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name == "id" and value:
                self.ids.add(value)
            elif name in ("href", "src") and value:
                self.links.append(value)


def test_the_page_shows_every_operation_of_the_document(shared: Caller) -> None:
    answer = shared.get("/docs")
    assert answer.status_code == 200
    shown = re.findall(r"<h3><b>(\w+)</b> ([^<]+)</h3>", answer.text)
    documented = {
        (method.upper(), escape(path))
        for path, item in shared.api()["paths"].items()
        for method in {"get", "post", "put", "patch", "delete"} & set(item)
    }
    assert len(shown) == len(documented)
    assert set(shown) == documented


def test_the_page_needs_nothing_and_runs_nothing(shared: Caller) -> None:
    answer = shared.get("/docs")
    reader = Reader()
    reader.feed(answer.text)
    assert not reader.tags & {"script", "img", "link", "iframe", "object", "form"}
    assert set(reader.links) - {"/openapi.json"} == {
        link for link in reader.links if link.startswith("#")
    }
    assert {link[1:] for link in reader.links if link.startswith("#")} <= reader.ids
    style = answer.text.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in answer.headers["Content-Security-Policy"]
