#!/usr/bin/env python3
"""boto3 at a store that soon says 503 SlowDown: a store of its own with a low rate, so that nobody else meets it."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.pop(0)  # the folder of this script, where a file has the name of the package

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

SCRATCH = Path(os.environ["SCRATCH"])
STORE = Path(os.environ["SANDBOX"]).with_name("reprise-object-store")
RATE = 5
OBJECTS = 40


def report(operation, outcome, detail=""):
    print("boto3 (slow store)", operation, outcome, " ".join(str(detail).split())[:300], sep="\t", flush=True)


def check(operation, work):
    try:
        work()
    except Exception as error:  # noqa: BLE001 - a foreign client may throw anything
        report(operation, "failed", f"{type(error).__name__}: {error}")
    else:
        report(operation, "passed")


def client(env, mode, attempts):
    config = Config(s3={"addressing_style": "path"}, retries={"mode": mode, "max_attempts": attempts}, max_pool_connections=8)
    return boto3.client(
        "s3",
        endpoint_url=env["S3_ENDPOINT"],
        region_name=env["AWS_REGION"],
        aws_access_key_id=env["S3_ACCESS_KEY_ID"],
        aws_secret_access_key=env["S3_SECRET_ACCESS_KEY"],
        config=config,
    )


def put_all(store, prefix):
    """Puts all objects by eight hands; how often each was tried again."""
    put = lambda number: store.put_object(Bucket="slow", Key=f"{prefix}/{number}", Body=b"x")  # noqa: E731
    with ThreadPoolExecutor(8) as hands:
        return [answer["ResponseMetadata"]["RetryAttempts"] for answer in hands.map(put, range(OBJECTS))]


def main():
    file = SCRATCH / "env"
    command = [STORE, "--dir", SCRATCH / "store", "--env-file", file, "--rate", str(RATE)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 30
        while not file.exists():
            if server.poll() is not None or time.monotonic() > end:
                raise RuntimeError("the store did not start")
            time.sleep(0.05)
        env = dict(line.split("=", 1) for line in file.read_text().splitlines())
        operations(env)
    finally:
        server.terminate()
        server.wait(20)


def operations(env):
    hasty = client(env, "standard", 1)
    hasty.create_bucket(Bucket="slow")

    def refused():
        def put(number):
            try:
                hasty.put_object(Bucket="slow", Key=f"hasty/{number}", Body=b"x")
            except ClientError as error:
                return error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
            return None

        with ThreadPoolExecutor(8) as hands:
            codes = {told for told in hands.map(put, range(60)) if told}
        assert codes == {(503, "SlowDown")}, codes

    check("without another try: 503 SlowDown", refused)

    for mode, attempts in (("standard", 10), ("adaptive", 10), ("legacy", 10)):

        def backs_off(mode=mode, attempts=attempts):
            tries = put_all(client(env, mode, attempts), mode)
            assert sum(tries) > 0, "nothing was refused"
            time.sleep(2)
            listed = client(env, mode, attempts).list_objects_v2(Bucket="slow", Prefix=f"{mode}/")
            assert listed["KeyCount"] == OBJECTS, listed["KeyCount"]

        check(f"retries={mode}: backs off, and every object is there", backs_off)


main()
