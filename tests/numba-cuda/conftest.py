"""What numba-cuda's tests want of the folder that they are run from, and a record of what became of each."""

import json
import os

import pytest


@pytest.fixture(scope="class")
def initialize_from_pytest_config(request):
    request.cls._dump_failed_filechecks = False


class Record:
    """Writes one line for each test that is over: its name, what became of it, and the last line of why."""

    def __init__(self, path):
        self.file = open(path, "w", buffering=1)

    def pytest_runtest_logreport(self, report):
        is_over = report.when == "call" or report.outcome != "passed"
        if not is_over or (report.when == "teardown" and report.outcome == "skipped"):
            return
        outcome = "xfailed" if hasattr(report, "wasxfail") else report.outcome
        if report.outcome == "skipped":
            # A place, a line and a reason.
            why = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        else:
            crash = getattr(report.longrepr, "reprcrash", None)
            why = crash.message if crash else str(report.longrepr or "")
        line = {"test": report.nodeid, "outcome": outcome, "why": why[:2000]}
        self.file.write(json.dumps(line) + "\n")


def pytest_configure(config):
    path = os.environ.get("NUMBA_RECORD")
    # Workers of pytest-xdist report to the process that started them.
    if path and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Record(path))
