import json
import logging
import subprocess
import sys

from service.logs import JsonFormatter, LineFormatter, log_context


def line(message: str, **extra: object) -> str:
    record = logging.makeLogRecord({"msg": message, "levelname": "INFO", "created": 0.0, **extra})
    return LineFormatter("work").format(record)


def test_a_line_has_time_in_utc_level_role_message_and_what_it_is_about() -> None:
    assert line("stored", job_id=7) == "1970-01-01T00:00:00Z INFO work stored job_id=7"


def test_a_value_cannot_forge_a_second_line() -> None:
    forged = line("refused", aet="A\n2030-01-01T00:00:00Z INFO work stored")
    assert "\n" not in forged
    assert r"aet='A\n2030" in forged


def test_a_message_cannot_forge_a_second_line_either() -> None:
    assert line("said: A\r\nB\x1b[31m") == r"1970-01-01T00:00:00Z INFO work said: A\r\nB\x1b[31m"


def test_an_exception_cannot_forge_a_record() -> None:
    formatted = LineFormatter("work").format(_failed("x\n2030-01-01T00:00:00Z INFO work stored"))
    first, *rest = formatted.splitlines()
    assert first.endswith("broken")
    assert rest
    assert all(one.startswith("  | ") for one in rest)


def test_a_json_record_has_its_fields_and_what_it_is_about() -> None:
    record = logging.makeLogRecord(
        {"msg": "job %d", "args": (7,), "levelname": "INFO", "name": "a.b", "created": 1.5, "peer": {1, 2}}
    )
    with log_context(job_id=7):
        shown = json.loads(JsonFormatter("work").format(record))
    assert shown == {
        "time": "1970-01-01T00:00:01.500+00:00",
        "level": "INFO",
        "role": "work",
        "logger": "a.b",
        "message": "job 7",
        "job_id": 7,
        "peer": "{1, 2}",
    }


def test_a_json_record_is_one_line_whatever_it_holds_and_its_own_fields_stay() -> None:
    text = "A\n\u2028\x00\ud800"
    record = logging.makeLogRecord({"msg": text, "levelname": "INFO", "level": "forged", "aet": text})
    formatted = JsonFormatter("work").format(record)
    assert formatted.isascii()
    assert formatted.isprintable()
    shown = json.loads(formatted)
    assert (shown["level"], shown["extra_level"], shown["aet"]) == ("INFO", "forged", text)


def test_an_exception_is_one_field() -> None:
    formatted = JsonFormatter("work").format(_failed("x\ny"))
    assert "\n" not in formatted
    assert json.loads(formatted)["exception"].endswith("ValueError: x\ny")


def test_what_a_thread_is_about_ends_with_its_block() -> None:
    with log_context(job_id=7):
        assert line("a").endswith("job_id=7")
        with log_context(stage="read"):
            assert line("a").endswith("job_id=7 stage=read")
    assert line("a").endswith("work a")


def test_every_log_call_of_the_node_makes_a_json_line_with_its_extra() -> None:
    """What ends a process, a thread, and what a library warns of, stand in the log of a real process too."""
    program = """
import logging, threading, warnings
from service.logs import start_log
start_log("work", "INFO", "json")
logging.getLogger("service.send").info("delivery: %s", "Sent", extra={"job_id": 3, "destination": "tps"})
warnings.warn("old\\nways")
thread = threading.Thread(target=lambda: 1 / 0, name="t1")
thread.start(); thread.join()
raise RuntimeError("two\\nlines")
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    shown = [json.loads(text) for text in ended.stderr.splitlines()]
    assert ended.returncode == 1
    assert (shown[0]["job_id"], shown[0]["destination"]) == (3, "tps")
    assert [one["level"] for one in shown] == ["INFO", "WARNING", "CRITICAL", "CRITICAL"]
    assert "ZeroDivisionError" in shown[2]["exception"]
    assert "two\nlines" in shown[3]["exception"]


def test_what_pydicom_tolerates_in_foreign_objects_is_neither_quoted_nor_remembered() -> None:
    program = """
import logging, pydicom.valuerep
from pydicom import Dataset
from pydicom.uid import UID
from service.logs import start_log
start_log("work", "INFO", "text")
image = Dataset()
image.PatientBirthDate, image.PatientSex, image.StudyInstanceUID = "born 1960", "qxj", "1.02.3"
image.to_json()
assert not getattr(pydicom.valuerep, "__warningregistry__", {}).keys() - {"version"}
logging.getLogger("service.work").info("done")
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert [line.split(" ", 1)[1] for line in ended.stderr.splitlines()] == ["INFO work done"]


def _failed(said: str) -> logging.LogRecord:
    try:
        raise ValueError(said)
    except ValueError:
        return logging.makeLogRecord({"msg": "broken", "levelname": "ERROR", "exc_info": sys.exc_info()})
