"""What every Python client script shares: one line per operation, whatever happens in it."""

import os
import pathlib
import sys
import time

SCRATCH = pathlib.Path(os.environ["SCRATCH"])
SCRATCH.mkdir(parents=True, exist_ok=True)


class Report:
    """Prints `client, operation, outcome, detail`."""

    def __init__(self, client):
        self.client = client
        self.kept = {}

    def line(self, operation, outcome, detail=""):
        detail = " ".join(str(detail).split())[:300]
        print(self.client, operation, outcome, detail, sep="\t", flush=True)

    def check(self, operation):
        """Runs the decorated function at once; an exception is a failure of this operation and of no other."""

        def run(function):
            try:
                function()
            except Exception as error:  # noqa: BLE001 - a foreign client may throw anything
                self.line(operation, "failed", f"{type(error).__name__}: {error}")
            else:
                self.line(operation, "passed")
            return function

        return run

    def not_offered(self, operation, why=""):
        self.line(operation, "not-offered", why)


def within(seconds, condition):
    """Until `condition()` is true."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(0.2)


def refused(exception, function):
    """Asserts that the call is refused with such an exception, and returns it."""
    try:
        function()
    except exception as error:
        return error
    raise AssertionError(f"accepted, although {exception.__name__} was due")


def finish():
    sys.stdout.flush()
