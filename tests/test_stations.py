"""What stations answer, kept by the verbs, on every database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from pki import stations
from pki.model import MessageState, Principal, Role
from pki.services import Services

CPO = Principal(name="csms", role=Role.CPO, parties=("DECPA",))
AT_ONCE = 8


def test_an_answer_that_is_told_several_times_at_once_is_kept_for_each(anywhere: Services) -> None:
    deployment = anywhere.deployment
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for number in range(10):
            asked = stations.Asked(
                station_id=f"CS-{number}",
                version="2.0.1",
                action="GetInstalledCertificateIds",
                payload={},
            )
            message_id = stations.ask(deployment, CPO, asked).message_id
            told = [
                pool.submit(stations.answer, deployment, CPO, message_id, {"status": "NotFound"})
                for _ in range(AT_ONCE)
            ]
            assert {each.result().state for each in told} == {MessageState.ACCEPTED}
