import logging

from service.journal import LineFormatter


def line(message: str, **extra: object) -> str:
    record = logging.makeLogRecord({"msg": message, "levelname": "INFO", "created": 0.0, **extra})
    return LineFormatter("work").format(record)


def test_a_line_has_time_in_utc_level_role_message_and_what_it_is_about() -> None:
    assert line("stored", job_id=7) == "1970-01-01T00:00:00Z INFO work stored job_id=7"


def test_a_value_cannot_forge_a_second_line() -> None:
    forged = line("refused", aet="A\n2030-01-01T00:00:00Z INFO work stored")
    assert "\n" not in forged
    assert r"aet='A\n2030" in forged
