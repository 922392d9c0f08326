import threading
import time

import pytest
from pynetdicom import AE, evt

from service.scu.reactor_pause import ReactorPause, pause_reactor


def test_nobody_passes_once_it_is_closed():
    passed = 0
    ended = threading.Event()

    def pass_by() -> None:
        nonlocal passed
        while not ended.is_set():
            checkpoint.wait()
            passed += 1

    thread = threading.Thread(target=pass_by)
    checkpoint = ReactorPause(thread)
    thread.start()
    for _ in range(300):
        checkpoint.clear()
        before = passed
        time.sleep(0.0005)
        assert passed == before
        checkpoint.set()
    ended.set()
    thread.join()
    assert passed >= 300


@pytest.mark.network
def test_every_answer_of_a_peer_that_answers_at_once_is_heard():
    server_entity, entity = AE("FAST"), AE("NODE")
    server_entity.add_supported_context("1.2.840.10008.1.1")
    entity.add_requested_context("1.2.840.10008.1.1")
    entity.dimse_timeout = 10
    echoes: list[evt.Event] = []

    def heard(event: evt.Event) -> int:
        echoes.append(event)
        return 0x0000

    server = server_entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_ECHO, heard)])
    association = entity.associate("127.0.0.1", server.server_address[1])
    pause_reactor(association)
    assert all("Status" in association.send_c_echo() for _ in range(100))
    association.release()
    server.shutdown()
    assert len(echoes) == 100
