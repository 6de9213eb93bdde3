"""What HTTP caches may keep (RFC 5019 section 6; cases 46 to 50 and 53 of the list)."""

from __future__ import annotations

import datetime as dt
import re
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from pki.model import Reason
from pki.pkix.suites import Suite
from pki.status import StatusPolicy
from tests.web import asking
from tests.web.asking import cert_id, request
from tests.web.authority import AT, DAY, SECOND, Authority, working


def max_age(answer: TestResponse) -> int:
    found = re.fullmatch(
        r"max-age=(\d+), public, no-transform, must-revalidate", answer.headers["Cache-Control"]
    )
    assert found
    return int(found[1])


def not_cacheable(answer: TestResponse) -> bool:
    kept = {"ETag", "Last-Modified", "Expires"} & set(answer.headers.keys())
    return answer.headers["Cache-Control"] == "no-store" and not kept


@pytest.mark.parametrize("suite", Suite)
def test_a_get_may_be_kept_as_long_as_the_policy_says(common: Authority, suite: Suite) -> None:
    """Case 47."""
    answer = common.get(common.issue(suite).request)
    single = asking.read(answer.data).single
    age = max_age(answer)
    assert age == common.services.settings.status.max_age
    assert single.next_update is not None
    assert dt.timedelta(seconds=age) <= single.next_update - AT
    assert parsedate_to_datetime(answer.headers["Expires"]) == AT + age * SECOND
    assert answer.headers["Last-Modified"] == format_datetime(single.this_update, usegmt=True)
    assert re.fullmatch('"[0-9a-f]{64}"', answer.headers["ETag"])
    assert answer.content_length == len(answer.data)


def test_nothing_may_be_kept_beyond_its_next_update(authority_home: Path) -> None:
    with working(authority_home, policy=StatusPolicy(max_age=86_400)) as now:
        leaf = now.issue()
    short = StatusPolicy(max_age=86_400, validity=dt.timedelta(hours=1))
    with working(authority_home, policy=short) as brief:
        answer = brief.get(leaf.request)
        single = asking.read(answer.data).single
    assert max_age(answer) == 3600
    assert parsedate_to_datetime(answer.headers["Expires"]) == single.next_update


def test_a_caller_who_holds_the_answer_is_told_so(common: Authority) -> None:
    """Case 48, by tag."""
    leaf = common.issue()
    first = common.get(leaf.request)
    tag = first.headers["ETag"]
    for value in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = common.get(leaf.request, if_none_match=value)
        assert (again.status_code, again.data) == (304, b"")
        assert again.headers["ETag"] == tag
        assert again.headers["Cache-Control"] == first.headers["Cache-Control"]
        assert again.headers["Expires"] == first.headers["Expires"]
    for value in ('"other"', tag.strip('"'), ""):
        assert common.get(leaf.request, if_none_match=value).status_code == 200


def test_a_caller_who_holds_a_date_is_told_so(common: Authority) -> None:
    """Case 48, by date; a tag that does not fit has the last word (RFC 9110 13.2.2)."""
    leaf = common.issue()
    dated = common.get(leaf.request).headers["Last-Modified"]
    later = format_datetime(AT + DAY, usegmt=True)
    earlier = format_datetime(AT - SECOND, usegmt=True)
    for date, code in ((dated, 304), (later, 304), (earlier, 200), ("yesterday", 200), ("", 200)):
        assert common.get(leaf.request, if_modified_since=date).status_code == code
    both = {"if_modified_since": dated, "if_none_match": '"other"'}
    assert common.get(leaf.request, **both).status_code == 200


def test_a_revocation_is_another_answer_with_another_tag(authority: Authority) -> None:
    """Cases 46 to 48: also where it falls in the second of the answer before."""
    leaf = authority.issue()
    good = authority.get(leaf.request)
    authority.revoke(leaf)
    tag, date = good.headers["ETag"], good.headers["Last-Modified"]
    for held in ({"if_none_match": tag}, {"if_modified_since": date}):
        answer = authority.get(leaf.request, **held)
        assert (answer.status_code, asking.read(answer.data).status) == (200, "revoked")
        assert answer.headers["ETag"] != tag
    revoked = authority.get(leaf.request)
    again = authority.get(leaf.request, if_none_match=revoked.headers["ETag"])
    assert again.status_code == 304


def test_a_release_is_another_answer_with_another_tag(authority: Authority) -> None:
    leaf = authority.issue()
    authority.revoke(leaf, Reason.CERTIFICATE_HOLD)
    held = authority.get(leaf.request)
    authority.release(leaf)
    answer = authority.get(leaf.request, if_none_match=held.headers["ETag"])
    assert (answer.status_code, asking.read(answer.data).status) == (200, "good")


def test_errors_may_not_be_kept(common: Authority) -> None:
    """Case 49: malformedRequest and unauthorized; `tryLater` is in the tests of answers."""
    leaf = common.issue()
    foreign = request(cert_id(leaf.issuer, 5, key=bytes(20)))
    for path, status in (
        ("/ocsp", "malformed_request"),
        ("/ocsp/MFE", "malformed_request"),
        (f"/ocsp/{asking.in_path(foreign)}", "unauthorized"),
    ):
        answer = common.fetch(path, if_none_match="*", if_modified_since=format_datetime(AT))
        assert (answer.status_code, not_cacheable(answer)) == (200, True)
        assert asking.read(answer.data).status == status


def test_what_is_not_issued_yet_may_not_be_kept(common: Authority) -> None:
    """A serial that is unknown today may be issued in a minute."""
    leaf = common.issue()
    answer = common.get(request(cert_id(leaf.issuer, 5)))
    assert (asking.read(answer.data).status, not_cacheable(answer)) == ("unknown", True)


def test_several_certificates_and_nonces_may_not_be_kept(common: Authority) -> None:
    leaf = common.issue()
    for der in (
        request(leaf.cert_id(), leaf.cert_id()),
        request(leaf.cert_id(), more=(asking.nonce(bytes(16)),)),
    ):
        assert not_cacheable(common.get(der))


def test_a_post_may_not_be_kept(common: Authority) -> None:
    """Case 50."""
    for der in (common.issue().request, b""):
        assert not_cacheable(common.post(der))


def test_an_answer_without_nonce_is_signed_once(common: Authority) -> None:
    """Case 53: later ones come from memory; ECDSA would show a second signature."""
    leaf = common.issue()
    answers = {common.get(leaf.request).data for _ in range(50)}
    assert len(answers | {common.post(leaf.request).data}) == 1


def test_processes_of_a_home_share_what_was_signed(authority_home: Path) -> None:
    with working(authority_home) as one, working(authority_home) as two:
        leaf = one.issue()
        assert one.get(leaf.request).data == two.get(leaf.request).data
    with working(authority_home, at=AT + DAY) as restarted:
        answer = restarted.get(leaf.request)
        assert asking.read(answer.data).single.this_update == AT
        assert max_age(answer) == restarted.services.settings.status.max_age
