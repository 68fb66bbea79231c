"""Our controller against an object store that somebody else wrote: what an archive's keeper does, seen from outside by boto3.

Two buckets of one store stand for production and archive: first everything passes through the controller, then the store copies.
"""

import hashlib
import json
import os
import pathlib
import random
import re
import subprocess
import time
from datetime import datetime, timedelta, timezone

import boto3
from botocore.config import Config
from check import SCRATCH, Report

ROOT = pathlib.Path(__file__).resolve().parents[3]
REPRISE = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "reprise"
PLAN, BUCKET, ARCHIVE, INSIDE, LOCKED = "apilos", "reprise-documents", "reprise-archive", "reprise-inside", "reprise-locked"
LARGE = 17 << 20  # several parts
# Names that tools stumble over. A store that keeps its objects as files of these names may leave some out.
ODD = [
    "plain.txt",
    "with space/and  two .txt",
    "per%cent/100%25.txt",
    "a+b/c+d.txt",
    "unicode/é—日本語-🗄️.txt",
    "decomposed/e\u0301.txt",
    "quotes/'single' \"double\".txt",
    "amp&ersand/<angle>;semi,comma=.txt",
    "dots/..hidden/...txt",
    "tilde~/$dollar/(paren)/!bang*star.txt",
    "a",
    "a-b",
    "long-0123456789/" * 12 + "end",
]


class Store:
    """Where it is, and what it lacks: `without` names some of `tags`, `folders`, `copy`, `lock`, and
    `list of parts` where it fails over the access control list of what was sent in parts, which is asked for again in each run."""

    def __init__(self, name, endpoint, access_key, secret_key, region="us-east-1", without=(), odd=tuple(ODD)):
        self.name, self.endpoint, self.region, self.without, self.odd = name, endpoint, region, set(without), odd
        self.access_key, self.secret_key = access_key, secret_key
        quiet = Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required", response_checksum_validation="when_required")
        self.client = boto3.client(
            "s3", endpoint_url=endpoint, region_name=region, aws_access_key_id=access_key, aws_secret_access_key=secret_key, config=quiet
        )

    def put(self, key, body, **more):
        self.client.put_object(Bucket=BUCKET, Key=key, Body=body, **more)

    def delete(self, key):
        self.client.delete_object(Bucket=BUCKET, Key=key)

    def contents(self, bucket):
        """Digest, type, metadata and tags by key."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 1000})
        return {found["Key"]: self.one(bucket, found["Key"]) for page in pages for found in page.get("Contents", [])}

    def one(self, bucket, key):
        answer = self.client.get_object(Bucket=bucket, Key=key)
        digest = hashlib.sha256(answer["Body"].read()).hexdigest()
        tags = [] if "tags" in self.without else self.client.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]
        return digest, answer["ContentType"], answer["Metadata"], sorted(tag["Key"] + "=" + tag["Value"] for tag in tags)

    def fill(self):
        self.client.create_bucket(Bucket=BUCKET)
        for key in self.odd:
            self.put(key, f"the content of {key}\n".encode(), ContentType="text/plain")
        noise = random.Random(7)
        for n in range(40):
            self.put(f"many/{n:03}.bin", noise.randbytes(2_000 + n))
        self.put("empty.bin", b"")
        if "folders" not in self.without:
            self.put("a-folder/", b"")
        tags = {} if "tags" in self.without else {"Tagging": "kind=scan&place=Albi"}
        self.put("dressed.json", b'{"a": 1}', ContentType="application/json", Metadata={"case": "4711", "origin": "a scan"}, **tags)
        self.client.upload_fileobj(LargeFile(LARGE), BUCKET, "large/in parts.bin", ExtraArgs={"ContentType": "application/pdf"})


class LargeFile:
    """So many bytes, the same each time, that are nowhere whole."""

    def __init__(self, size):
        self.left, self.noise = size, random.Random(11)

    def read(self, amount=-1):
        amount = self.left if amount is None or amount < 0 else min(amount, self.left)
        self.left -= amount
        return self.noise.randbytes(amount)


class Keeper:
    """The daemon, which keeps the records, and the command line."""

    def __init__(self, store):
        self.store, self.data, log = store, SCRATCH / "data", SCRATCH / "daemon.log"
        self.env = {"PATH": os.environ["PATH"], "HOME": str(SCRATCH), "TMPDIR": str(SCRATCH), "AWS_REGION": store.region, "LC_ALL": "C.UTF-8"}
        for side in ("SOURCE", "ARCHIVE"):
            self.env |= {f"S3_{side}_ENDPOINT": store.endpoint, f"S3_{side}_BUCKET": BUCKET}
            self.env |= {f"S3_{side}_ACCESS_KEY_ID": store.access_key, f"S3_{side}_SECRET_ACCESS_KEY": store.secret_key}
        with log.open("wb") as out:
            command = [REPRISE, "--data-dir", self.data, "serve", "--dev", "--log", "text", "--listen", "127.0.0.1:0"]
            self.process = subprocess.Popen(command, env=self.env, stdout=out, stderr=out)
        end = time.monotonic() + 60
        while b"ready" not in log.read_bytes():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the daemon did not start: {log.read_text()[-500:]}")
            time.sleep(0.1)

    def apply(self, archive, *lines):
        """The example plan, by hand only, with these lines of `archive:`."""
        text = (ROOT / "deploy/examples/apilos.yaml").read_text()
        text = re.sub(r"\n    (schedule: \{ cron|retention: \{).*", "", text).replace("bucket: apilos-archive", f"bucket: {archive}")
        text = text.replace("\n  archive:\n", "\n  archive:\n" + "".join(f"    {line}\n" for line in lines))
        subprocess.run(
            [REPRISE, "--data-dir", self.data, "apply", "-f", "-"], input=text.encode(), env=self.env, check=True, stdout=subprocess.DEVNULL, timeout=60
        )

    def say(self, verb, *words):
        """What `reprise archive VERB` answers; an exception with what it said where it fails."""
        dev = [] if verb in ("list", "accept") else ["--dev"]
        command = [REPRISE, "--data-dir", self.data, "-o", "json", "archive", verb, PLAN, *dev, *words]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=180)
        if done.returncode:
            raise RuntimeError(f"exit {done.returncode}: {done.stdout[-300:]} {done.stderr[-1500:]}")
        return json.loads(done.stdout)

    def stop(self):
        self.process.terminate()
        self.process.wait(40)


def prove(store):
    """All that an archive's keeper does, one line an operation."""
    report = Report(store.name)
    store.fill()
    keeper = Keeper(store)
    try:
        keeper.apply(ARCHIVE, "retention: { last: 1, weekly: 0, monthly: 0, yearly: 0, grace: 1s }")
        through_us(report.check, store, keeper)
        if "copy" in store.without:
            report.not_offered("archive run: the store copies")
        else:
            inside(report.check, store, keeper)
        if "lock" in store.without:
            report.not_offered("archive run: contents are locked")
        else:
            locked(report.check, store, keeper)
    finally:
        keeper.stop()


def through_us(check, store, keeper):
    runs, original = [], store.contents(BUCKET)

    @check("archive init: the bucket is made")
    def _():
        keeper.say("init")
        assert ARCHIVE in [found["Name"] for found in store.client.list_buckets()["Buckets"]]

    @check("archive run: every object, odd names and several parts included")
    def _():
        runs.append(keeper.say("run"))
        assert runs[0]["changes"]["added"] == len(original), runs[0]["changes"]

    @check("archive run: unchanged objects are not read again")
    def _():
        changes = keeper.say("run")["changes"]
        again = LARGE if "list of parts" in store.without else 0
        assert changes["bytes"] == again and changes["added"] == changes["rewritten"] == changes["deleted"] == 0, changes

    @check("archive run: what changed and what is gone")
    def _():
        time.sleep(1)  # some stores date objects in whole seconds, and the same size may hide a change within one
        store.put("plain.txt", b"something else\n", ContentType="text/plain")
        store.delete("many/000.bin")
        changes = keeper.say("run")["changes"]
        assert (changes["rewritten"], changes["deleted"], changes["added"]) == (1, 1, 0), changes

    for depth in ("listing", "sample", "full"):

        @check(f"archive verify --depth {depth}")
        def _():
            found = keeper.say("verify", "--depth", depth)
            assert found["findings"] == [] and found["objects"] == len(original) - 1, found

    restored(check, store, keeper, original, runs)

    @check("archive prune: only what no run needs is deleted")
    def _():
        time.sleep(1.1)
        keeper.say("prune", "--yes")
        kept = [found["Key"] for found in store.client.list_objects_v2(Bucket=ARCHIVE, Prefix=f"{PLAN}/runs/")["Contents"]]
        assert len(kept) == 1 and runs[0]["run"] not in kept[0], kept
        keeper.say("verify", "--depth", "full")


def restored(check, store, keeper, original, runs):
    @check("archive restore: bodies, types and metadata are as they were")
    def _():
        store.client.create_bucket(Bucket="reprise-back")
        keeper.say("restore", "--to-bucket", "reprise-back")
        same(store.contents("reprise-back"), store.contents(BUCKET))

    @check("archive restore: what is right already is skipped")
    def _():
        again = keeper.say("restore", "--to-bucket", "reprise-back")
        assert again["skipped"] == len(original) - 1 and not again["differences"], again

    @check("archive restore --run: what was deleted and overwritten since")
    def _():
        store.client.create_bucket(Bucket="reprise-then")
        keeper.say("restore", "--run", runs[0]["run"], "--to-bucket", "reprise-then")
        same(store.contents("reprise-then"), original)


def inside(check, store, keeper):
    @check("archive run: the store copies")
    def _():
        store.client.create_bucket(Bucket=INSIDE)
        keeper.apply(INSIDE, "mode: server-side")
        run = keeper.say("run")
        assert run["cost"].get("archive.copy", 0) > 0, run["cost"]

    @check("archive verify --depth full: what the store copied")
    def _():
        keeper.say("verify", "--depth", "full")

    @check("archive restore: what the store copied")
    def _():
        store.client.create_bucket(Bucket="reprise-inside-back")
        keeper.say("restore", "--to-bucket", "reprise-inside-back")
        same(store.contents("reprise-inside-back"), store.contents(BUCKET))


def locked(check, store, keeper):
    @check("archive run: contents are locked")
    def _():
        keeper.apply(LOCKED, "lock: { mode: governance, period: 30d }")
        keeper.say("init")
        keeper.say("run")
        listed = store.client.list_objects_v2(Bucket=LOCKED, Prefix=f"{PLAN}/objects/")["Contents"]
        for key in (found["Key"] for found in listed):
            until = store.client.head_object(Bucket=LOCKED, Key=key)["ObjectLockRetainUntilDate"]
            assert until > datetime.now(timezone.utc) + timedelta(days=29), (key, until)


def same(found, wanted):
    wrong = [key for key in {*found, *wanted} if found.get(key) != wanted.get(key)]
    assert not wrong, [(key, found.get(key), wanted.get(key)) for key in wrong[:3]]


class Server:
    """A store in a process of its own, at an address that it says itself."""

    def __init__(self, command, says, log="store.log", **more):
        self.log = SCRATCH / log
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out, cwd=SCRATCH, **more)
        end = time.monotonic() + 60
        while not (found := re.search(says, self.log.read_text(errors="replace"))):
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{command[0]} did not start: {self.log.read_text(errors='replace')[-500:]}")
            time.sleep(0.1)
        self.endpoint = found[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)
