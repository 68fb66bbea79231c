#!/usr/bin/env python3
"""What users of boto3 do with an object store, as separately named operations.

Reads S3_SOURCE_* and S3_ARCHIVE_* (a sandbox's env file) and SCRATCH from the environment; prints one line per operation:
client, operation, passed|failed|not-offered, detail. Leaves nothing behind.
"""

import base64
import hashlib
import io
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path

sys.path.pop(0)  # the folder of this script, which has the name of the package

import boto3
from boto3.s3.transfer import TransferConfig
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

SCRATCH = Path(os.environ["SCRATCH"]) / "boto3"
SUFFIX = uuid.uuid4().hex[:10]
REGION = os.environ.get("AWS_REGION", "fr-par")
PART = 5 * 1024 * 1024
made = []


def client(store="SOURCE", pair="", **options):
    options = {"s3": {"addressing_style": "path"}, "retries": {"max_attempts": 2}, **options}
    prefix = f"S3_{store}_{pair}" if pair else f"S3_{store}_"
    return boto3.client(
        "s3",
        endpoint_url=os.environ[f"S3_{store}_ENDPOINT"],
        region_name=REGION,
        aws_access_key_id=os.environ.get(f"{prefix}ACCESS_KEY_ID"),
        aws_secret_access_key=os.environ.get(f"{prefix}SECRET_ACCESS_KEY"),
        config=Config(**options),
    )


source = client()
archive = client("ARCHIVE")


def bucket(name, at=source, **options):
    full = f"{name}-{SUFFIX}"
    at.create_bucket(Bucket=full, **options)
    made.append((at, full))
    return full


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        found = error.response["Error"]["Code"]
        assert found == code, f"expected {code}, got {found}: {error}"
        return error.response
    raise AssertionError(f"expected {code}, but it succeeded")


def same(found, expected):
    assert found == expected, f"expected {expected!r:.120}, got {found!r:.120}"


def read(at, name, key, **options):
    return at.get_object(Bucket=name, Key=key, **options)["Body"].read()


OPERATIONS = []


def operation(name):
    def note(work):
        OPERATIONS.append((name, work))
        return work

    return note


@operation("create, head, list and locate a bucket")
def _():
    name = bucket("plain")
    source.head_bucket(Bucket=name)
    assert name in [found["Name"] for found in source.list_buckets()["Buckets"]]
    same(source.get_bucket_location(Bucket=name)["LocationConstraint"], REGION)
    globals()["PLAIN"] = name


@operation("refusals of bucket names")
def _():
    refused("BucketAlreadyOwnedByYou", source.create_bucket, Bucket=PLAIN)
    refused("BucketAlreadyExists", archive.create_bucket, Bucket=PLAIN)
    refused("InvalidLocationConstraint", source.create_bucket, Bucket=f"else-{SUFFIX}",
            CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    refused("NoSuchBucket", source.list_objects_v2, Bucket=f"missing-{SUFFIX}")


@operation("a hundred uploads refused before their body, on one connection")
def _():
    # boto3 sends `Expect: 100-continue` and, once refused, its next request instead of the body.
    once = client(retries={"max_attempts": 0}, max_pool_connections=1)
    for size in (1, 100_000):
        for number in range(50):
            refused("NoSuchBucket", once.put_object, Bucket=f"missing-{SUFFIX}", Key=str(number), Body=b"x" * size)
    once.put_object(Bucket=PLAIN, Key="after", Body=b"all is well")
    same(read(once, PLAIN, "after"), b"all is well")
    once.delete_object(Bucket=PLAIN, Key="after")


@operation("put and get with metadata and content type")
def _():
    answer = source.put_object(Bucket=PLAIN, Key="a/é à+b%20.txt", Body=b"hello", ContentType="text/plain; charset=utf-8",
                               CacheControl="max-age=60", ContentDisposition='attachment; filename="x"', Metadata={"who": "me"})
    same(answer["ETag"], '"%s"' % hashlib.md5(b"hello").hexdigest())
    found = source.get_object(Bucket=PLAIN, Key="a/é à+b%20.txt")
    same(found["Body"].read(), b"hello")
    same((found["ContentType"], found["CacheControl"], found["Metadata"]), ("text/plain; charset=utf-8", "max-age=60", {"who": "me"}))
    assert found["ResponseMetadata"]["RequestId"]


@operation("head of a missing key is 404")
def _():
    refused("404", source.head_object, Bucket=PLAIN, Key="missing")
    refused("NoSuchKey", source.get_object, Bucket=PLAIN, Key="missing")


@operation("upload and download of a file in parts")
def _():
    path, back = SCRATCH / "large", SCRATCH / "back"
    path.write_bytes(os.urandom(12_000_000))
    config = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, max_concurrency=4)
    source.upload_file(str(path), PLAIN, "large", Config=config)
    assert source.head_object(Bucket=PLAIN, Key="large")["ETag"].endswith('-3"')
    source.download_file(PLAIN, "large", str(back), Config=config)
    assert path.read_bytes() == back.read_bytes()


@operation("upload of a stream without length")
def _():
    class Pipe(io.RawIOBase):
        def __init__(self, data):
            self.data = io.BytesIO(data)

        def readable(self):
            return True

        def readinto(self, buffer):
            return self.data.readinto(buffer)

    source.upload_fileobj(io.BufferedReader(Pipe(b"x" * 7_000_000)), PLAIN, "piped")
    same(source.head_object(Bucket=PLAIN, Key="piped")["ContentLength"], 7_000_000)


@operation("ranges: first, last, open, beyond the end")
def _():
    source.put_object(Bucket=PLAIN, Key="range", Body=b"0123456789")
    for range_, expected in [("bytes=0-2", b"012"), ("bytes=-3", b"789"), ("bytes=7-", b"789"), ("bytes=8-100", b"89")]:
        same(read(source, PLAIN, "range", Range=range_), expected)
    answer = refused("InvalidRange", source.get_object, Bucket=PLAIN, Key="range", Range="bytes=10-")
    same(answer["ResponseMetadata"]["HTTPStatusCode"], 416)


@operation("conditional reads")
def _():
    etag = source.head_object(Bucket=PLAIN, Key="range")["ETag"]
    same(read(source, PLAIN, "range", IfMatch=etag), b"0123456789")
    refused("PreconditionFailed", source.get_object, Bucket=PLAIN, Key="range", IfMatch='"other"')
    refused("304", source.get_object, Bucket=PLAIN, Key="range", IfNoneMatch=etag)
    refused("304", source.head_object, Bucket=PLAIN, Key="range", IfModifiedSince=datetime.now(timezone.utc) + timedelta(seconds=1))
    refused("PreconditionFailed", source.get_object, Bucket=PLAIN, Key="range", IfUnmodifiedSince=datetime(2020, 1, 1, tzinfo=timezone.utc))


@operation("conditional writes")
def _():
    etag = source.put_object(Bucket=PLAIN, Key="once", Body=b"1", IfNoneMatch="*")["ETag"]
    refused("PreconditionFailed", source.put_object, Bucket=PLAIN, Key="once", Body=b"2", IfNoneMatch="*")
    refused("PreconditionFailed", source.put_object, Bucket=PLAIN, Key="once", Body=b"2", IfMatch='"0"')
    refused("NoSuchKey", source.put_object, Bucket=PLAIN, Key="never", Body=b"2", IfMatch=etag)
    source.put_object(Bucket=PLAIN, Key="once", Body=b"2", IfMatch=etag)


@operation("checksums of every algorithm")
def _():
    for name in ["CRC32", "SHA1", "SHA256"]:
        source.put_object(Bucket=PLAIN, Key="sum", Body=b"123456789", ChecksumAlgorithm=name)
        found = source.get_object(Bucket=PLAIN, Key="sum", ChecksumMode="ENABLED")
        same(found["Body"].read(), b"123456789")
        assert found[f"Checksum{name}"], name
    for name, value in [("ChecksumCRC32C", "4waSgw=="), ("ChecksumCRC64NVME", "rosUhgp5mIg=")]:
        source.put_object(Bucket=PLAIN, Key="sum", Body=b"123456789", **{name: value})
        same(source.head_object(Bucket=PLAIN, Key="sum", ChecksumMode="ENABLED")[name], value)


@operation("wrong digests are refused")
def _():
    refused("BadDigest", source.put_object, Bucket=PLAIN, Key="bad", Body=b"x", ChecksumSHA256=base64.b64encode(bytes(32)).decode())
    refused("BadDigest", source.put_object, Bucket=PLAIN, Key="bad", Body=b"x", ContentMD5=base64.b64encode(bytes(16)).decode())
    refused("InvalidDigest", source.put_object, Bucket=PLAIN, Key="bad", Body=b"x", ContentMD5="short")
    refused("404", source.head_object, Bucket=PLAIN, Key="bad")


@operation("streamed body with a trailing checksum")
def _():
    (SCRATCH / "trail").write_bytes(b"t" * 300_000)
    for algorithm in ["CRC32", "SHA256"]:
        with open(SCRATCH / "trail", "rb") as body:
            source.put_object(Bucket=PLAIN, Key="trail", Body=body, ChecksumAlgorithm=algorithm)
        same(len(read(source, PLAIN, "trail", ChecksumMode="ENABLED")), 300_000)
    assert "ContentEncoding" not in source.head_object(Bucket=PLAIN, Key="trail")


ODD = ["a b", "a+b", "a%b", "a%2Fb", "a&b<c>", "a'b\"c", "dir/", "dir//x", "dir/./y", "ünï/日本語/😀", "tab\tkey", "~", "*", "#hash?query=1",
       "x" * 1024, "line\nbreak", "return\rkey", "control\x01key"]


@operation("listing v2: odd keys come back")
def _():
    name = bucket("odd")
    globals()["ODDS"] = name
    for key in ODD:
        source.put_object(Bucket=name, Key=key, Body=key.encode())
    found = [item["Key"] for page in source.get_paginator("list_objects_v2").paginate(Bucket=name, MaxKeys=4) for item in page.get("Contents", [])]
    same(found, sorted(ODD, key=lambda key: key.encode()))
    for key in ODD:
        same(read(source, name, key), key.encode())
    refused("KeyTooLongError", source.put_object, Bucket=name, Key="x" * 1025, Body=b"")


@operation("listing v1: markers and delimiters")
def _():
    found, folders, marker = [], [], ""
    while True:
        page = source.list_objects(Bucket=ODDS, Delimiter="/", MaxKeys=3, Marker=marker)
        found += [item["Key"] for item in page.get("Contents", [])]
        folders += [item["Prefix"] for item in page.get("CommonPrefixes", [])]
        if not page["IsTruncated"]:
            break
        marker = page["NextMarker"]
    same(folders, ["dir/", "ünï/"])
    same(found, sorted((key for key in ODD if "/" not in key), key=lambda key: key.encode()))


@operation("listing v2: prefix, start-after, delimiter, no keys")
def _():
    same([item["Key"] for item in source.list_objects_v2(Bucket=ODDS, Prefix="dir/")["Contents"]], ["dir/", "dir/./y", "dir//x"])
    same(source.list_objects_v2(Bucket=ODDS, StartAfter="ünï")["KeyCount"], 1)
    page = source.list_objects_v2(Bucket=ODDS, Prefix="dir/", Delimiter="/")
    same([item["Prefix"] for item in page["CommonPrefixes"]], ["dir/./", "dir//"])
    same(source.list_objects_v2(Bucket=ODDS, MaxKeys=0)["KeyCount"], 0)
    refused("InvalidArgument", source.list_objects_v2, Bucket=ODDS, ContinuationToken="!")


@operation("delete many")
def _():
    quiet = source.delete_objects(Bucket=ODDS, Delete={"Objects": [{"Key": "a b"}, {"Key": "never there"}], "Quiet": True})
    assert "Deleted" not in quiet and "Errors" not in quiet
    said = source.delete_objects(Bucket=ODDS, Delete={"Objects": [{"Key": key} for key in ODD if "\x01" not in key]})
    same(len(said["Deleted"]), len(ODD) - 1)
    source.delete_object(Bucket=ODDS, Key="control\x01key")
    same(source.list_objects_v2(Bucket=ODDS)["KeyCount"], 0)


@operation("copy, with replaced metadata, onto itself, and conditional")
def _():
    source.put_object(Bucket=PLAIN, Key="from é", Body=b"copy me", Metadata={"a": "1"})
    source.copy_object(Bucket=PLAIN, Key="to", CopySource={"Bucket": PLAIN, "Key": "from é"})
    same(source.get_object(Bucket=PLAIN, Key="to")["Metadata"], {"a": "1"})
    source.copy_object(Bucket=PLAIN, Key="to", CopySource={"Bucket": PLAIN, "Key": "to"}, MetadataDirective="REPLACE", Metadata={"b": "2"})
    same(source.head_object(Bucket=PLAIN, Key="to")["Metadata"], {"b": "2"})
    refused("InvalidRequest", source.copy_object, Bucket=PLAIN, Key="to", CopySource={"Bucket": PLAIN, "Key": "to"})
    refused("PreconditionFailed", source.copy_object, Bucket=PLAIN, Key="to", CopySource={"Bucket": PLAIN, "Key": "to"}, CopySourceIfMatch='"0"', MetadataDirective="REPLACE")
    refused("NoSuchKey", source.copy_object, Bucket=PLAIN, Key="to", CopySource={"Bucket": PLAIN, "Key": "missing"})


@operation("managed copy in parts with ranges")
def _():
    config = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART)
    source.copy({"Bucket": PLAIN, "Key": "large"}, PLAIN, "large copy", Config=config)
    assert read(source, PLAIN, "large copy") == (SCRATCH / "large").read_bytes()


def parts(key, name, *bodies, **options):
    upload = source.create_multipart_upload(Bucket=name, Key=key, **options)["UploadId"]
    done = []
    for number, body in enumerate(bodies, 1):
        answer = source.upload_part(Bucket=name, Key=key, UploadId=upload, PartNumber=number, Body=body, **{k: v for k, v in options.items() if k == "ChecksumAlgorithm"})
        done.append({"PartNumber": number, "ETag": answer["ETag"], **{k: v for k, v in answer.items() if k.startswith("Checksum") and k != "ChecksumType"}})
    return upload, {"Parts": done}


@operation("multipart: listed, completed, completed again, got by part")
def _():
    upload, done = parts("multi", PLAIN, b"1" * PART, b"2")
    assert upload in [found["UploadId"] for found in source.list_multipart_uploads(Bucket=PLAIN)["Uploads"]]
    same([part["Size"] for part in source.list_parts(Bucket=PLAIN, Key="multi", UploadId=upload)["Parts"]], [PART, 1])
    first = source.complete_multipart_upload(Bucket=PLAIN, Key="multi", UploadId=upload, MultipartUpload=done)
    again = source.complete_multipart_upload(Bucket=PLAIN, Key="multi", UploadId=upload, MultipartUpload=done)
    same(again["ETag"], first["ETag"])
    found = source.get_object(Bucket=PLAIN, Key="multi", PartNumber=2)
    same((found["Body"].read(), found["PartsCount"]), (b"2", 2))


@operation("multipart: caps and refusals")
def _():
    upload, done = parts("caps", PLAIN, b"small", b"last")
    refused("EntityTooSmall", source.complete_multipart_upload, Bucket=PLAIN, Key="caps", UploadId=upload, MultipartUpload=done)
    refused("InvalidArgument", source.upload_part, Bucket=PLAIN, Key="caps", UploadId=upload, PartNumber=1001, Body=b"")
    refused("InvalidPart", source.complete_multipart_upload, Bucket=PLAIN, Key="caps", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 7, "ETag": '"0"'}]})
    refused("InvalidPartOrder", source.complete_multipart_upload, Bucket=PLAIN, Key="caps", UploadId=upload, MultipartUpload={"Parts": done["Parts"][::-1]})
    source.abort_multipart_upload(Bucket=PLAIN, Key="caps", UploadId=upload)
    refused("NoSuchUpload", source.list_parts, Bucket=PLAIN, Key="caps", UploadId=upload)


@operation("multipart: checksums of the whole and of the parts")
def _():
    for algorithm, kind in [("CRC32", "FULL_OBJECT"), ("SHA256", "COMPOSITE")]:
        upload, done = parts("sums", PLAIN, b"1" * PART, b"2", ChecksumAlgorithm=algorithm, ChecksumType=kind)
        answer = source.complete_multipart_upload(Bucket=PLAIN, Key="sums", UploadId=upload, MultipartUpload=done)
        same((answer["ChecksumType"], answer[f"Checksum{algorithm}"].endswith("-2")), (kind, kind == "COMPOSITE"))


@operation("versions, delete markers and their removal")
def _():
    name = bucket("versions")
    globals()["VERSIONED"] = name
    source.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    same(source.get_bucket_versioning(Bucket=name)["Status"], "Enabled")
    ids = [source.put_object(Bucket=name, Key="k", Body=body)["VersionId"] for body in (b"1", b"2")]
    marker = source.delete_object(Bucket=name, Key="k")
    assert marker["DeleteMarker"]
    refused("NoSuchKey", source.get_object, Bucket=name, Key="k")
    refused("405", source.head_object, Bucket=name, Key="k", VersionId=marker["VersionId"])
    same(read(source, name, "k", VersionId=ids[0]), b"1")
    listed = source.list_object_versions(Bucket=name)
    same(([v["VersionId"] for v in listed["Versions"]], [m["IsLatest"] for m in listed["DeleteMarkers"]]), (ids[::-1], [True]))
    source.delete_object(Bucket=name, Key="k", VersionId=marker["VersionId"])
    same(read(source, name, "k"), b"2")
    hidden = source.delete_object(Bucket=name, Key="k")["VersionId"]
    third = source.put_object(Bucket=name, Key="k", Body=b"3")["VersionId"]
    text = fetch(client(signature_version="s3v4").generate_presigned_url("list_object_versions", Params={"Bucket": name}))[1].decode()
    order = sorted([third, hidden, *ids], key=lambda version: text.index(f"<VersionId>{version}<"))
    same(order, [third, hidden, *ids[::-1]])
    refused("BucketNotEmpty", source.delete_bucket, Bucket=name)


@operation("versions: paging and suspension")
def _():
    for number in range(7):
        source.put_object(Bucket=VERSIONED, Key=f"p{number % 3}", Body=b"")
    pages = source.get_paginator("list_object_versions").paginate(Bucket=VERSIONED, Prefix="p", PaginationConfig={"PageSize": 2})
    same(sum(len(page.get("Versions", [])) for page in pages), 7)
    source.put_bucket_versioning(Bucket=VERSIONED, VersioningConfiguration={"Status": "Suspended"})
    source.put_object(Bucket=VERSIONED, Key="p0", Body=b"null")
    same(read(source, VERSIONED, "p0", VersionId="null"), b"null")


@operation("tags of objects and buckets")
def _():
    source.put_object(Bucket=PLAIN, Key="tagged", Body=b"", Tagging="a=1&b=x%20y")
    same(len(source.get_object_tagging(Bucket=PLAIN, Key="tagged")["TagSet"]), 2)
    source.put_object_tagging(Bucket=PLAIN, Key="tagged", Tagging={"TagSet": [{"Key": "c", "Value": "é"}]})
    same(source.get_object(Bucket=PLAIN, Key="tagged")["TagCount"], 1)
    source.delete_object_tagging(Bucket=PLAIN, Key="tagged")
    source.put_bucket_tagging(Bucket=PLAIN, Tagging={"TagSet": [{"Key": "env", "Value": "test"}]})
    same(source.get_bucket_tagging(Bucket=PLAIN)["TagSet"][0]["Value"], "test")
    source.delete_bucket_tagging(Bucket=PLAIN)
    refused("NoSuchTagSet", source.get_bucket_tagging, Bucket=PLAIN)


@operation("ACL: public objects can be read by anybody")
def _():
    anybody = client(signature_version=UNSIGNED)
    source.put_object(Bucket=PLAIN, Key="open", Body=b"open", ACL="public-read")
    same(read(anybody, PLAIN, "open"), b"open")
    source.put_object_acl(Bucket=PLAIN, Key="open", ACL="private")
    refused("AccessDenied", anybody.get_object, Bucket=PLAIN, Key="open")
    refused("AccessDenied", anybody.list_objects_v2, Bucket=PLAIN)
    source.put_bucket_acl(Bucket=PLAIN, ACL="public-read")
    anybody.list_objects_v2(Bucket=PLAIN)
    same(len(source.get_bucket_acl(Bucket=PLAIN)["Grants"]), 2)
    source.put_bucket_acl(Bucket=PLAIN, ACL="private")


@operation("bucket policy: allow, deny, condition, everybody")
def _():
    name = bucket("policy")
    reader, anybody = client(pair="READ_"), client(signature_version=UNSIGNED)
    source.put_object(Bucket=name, Key="in/k", Body=b"1")
    me, them = os.environ["S3_SOURCE_PRINCIPAL"], os.environ["S3_SOURCE_READ_PRINCIPAL"]
    statements = [
        {"Sid": "me", "Effect": "Allow", "Principal": {"SCW": me}, "Action": "s3:*", "Resource": [name, f"{name}/*"]},
        {"Effect": "Allow", "Principal": {"SCW": [them]}, "Action": ["s3:GetObject"], "Resource": f"{name}/in/*"},
        {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"{name}/public/*"},
        {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": f"{name}/in/secret*"},
    ]
    put = lambda: source.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2023-04-17", "Id": "x", "Statement": statements}))
    put()
    same(json.loads(source.get_bucket_policy(Bucket=name)["Policy"])["Statement"], statements)
    for key in ("in/secret", "public/p"):
        source.put_object(Bucket=name, Key=key, Body=b"2")
    same((read(reader, name, "in/k"), read(anybody, name, "public/p")), (b"1", b"2"))
    refused("AccessDenied", reader.get_object, Bucket=name, Key="in/secret")
    refused("AccessDenied", source.get_object, Bucket=name, Key="in/secret")
    refused("AccessDenied", reader.list_objects_v2, Bucket=name)
    refused("AccessDenied", anybody.get_object, Bucket=name, Key="in/k")
    statements[0]["Condition"] = {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}
    put()
    refused("AccessDenied", source.list_objects_v2, Bucket=name)
    refused("MalformedPolicy", source.put_bucket_policy, Bucket=name, Policy='{"Version": "2023-04-17", "Statement": [{"Effect": "Maybe"}]}')
    source.delete_bucket_policy(Bucket=name)
    refused("NoSuchBucketPolicy", source.get_bucket_policy, Bucket=name)


@operation("lifecycle configuration")
def _():
    rules = [{"ID": "old", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 365},
              "Transitions": [{"Days": 90, "StorageClass": "GLACIER"}]},
             {"ID": "abort", "Status": "Enabled", "Filter": {"Prefix": ""}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}]
    source.put_bucket_lifecycle_configuration(Bucket=PLAIN, LifecycleConfiguration={"Rules": rules})
    same([rule["ID"] for rule in source.get_bucket_lifecycle_configuration(Bucket=PLAIN)["Rules"]], ["old", "abort"])
    source.delete_bucket_lifecycle(Bucket=PLAIN)
    refused("NoSuchLifecycleConfiguration", source.get_bucket_lifecycle_configuration, Bucket=PLAIN)


@operation("CORS and website configuration")
def _():
    source.put_bucket_cors(Bucket=PLAIN, CORSConfiguration={"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["https://a.test"], "AllowedHeaders": ["*"], "MaxAgeSeconds": 60}]})
    same(source.get_bucket_cors(Bucket=PLAIN)["CORSRules"][0]["AllowedMethods"], ["GET"])
    address = f"{os.environ['S3_SOURCE_ENDPOINT']}/{PLAIN}/range"
    preflight = lambda origin: fetch(address, method="OPTIONS", headers={"origin": origin, "access-control-request-method": "GET"})[0]
    same((preflight("https://a.test"), preflight("https://b.test")), (200, 403))
    source.delete_bucket_cors(Bucket=PLAIN)
    refused("NoSuchCORSConfiguration", source.get_bucket_cors, Bucket=PLAIN)
    source.put_bucket_website(Bucket=PLAIN, WebsiteConfiguration={"IndexDocument": {"Suffix": "index.html"}})
    same(source.get_bucket_website(Bucket=PLAIN)["IndexDocument"]["Suffix"], "index.html")
    source.delete_bucket_website(Bucket=PLAIN)


locked = []


@operation("object lock: governance, compliance, hold, default")
def _():
    name = bucket("locked", ObjectLockEnabledForBucket=True)
    # Far enough for a slow machine; that it ends is seen at the end.
    until = datetime.now(timezone.utc) + timedelta(seconds=20)
    put = lambda key, **lock: source.put_object(Bucket=name, Key=key, Body=b"x", **lock)["VersionId"]
    governed = put("g", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=until)
    kept = put("c", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=until)
    held = put("h", ObjectLockLegalHoldStatus="ON")
    for key, version in [("g", governed), ("c", kept), ("h", held)]:
        refused("AccessDenied", source.delete_object, Bucket=name, Key=key, VersionId=version)
    source.delete_object(Bucket=name, Key="g", VersionId=governed, BypassGovernanceRetention=True)
    refused("AccessDenied", source.delete_object, Bucket=name, Key="c", VersionId=kept, BypassGovernanceRetention=True)
    same(source.get_object_retention(Bucket=name, Key="c")["Retention"]["Mode"], "COMPLIANCE")
    retain = lambda at: {"Bucket": name, "Key": "c", "Retention": {"Mode": "COMPLIANCE", "RetainUntilDate": at}}
    source.put_object_retention(**retain(until))
    refused("AccessDenied", source.put_object_retention, **retain(until - timedelta(seconds=1)))
    source.put_object_legal_hold(Bucket=name, Key="h", LegalHold={"Status": "OFF"})
    same(source.get_object_legal_hold(Bucket=name, Key="h")["LegalHold"]["Status"], "OFF")
    source.delete_object(Bucket=name, Key="h", VersionId=held)
    rule = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}}
    source.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration=rule)
    same(source.get_object_lock_configuration(Bucket=name)["ObjectLockConfiguration"], rule)
    default = put("d")
    refused("AccessDenied", source.delete_object, Bucket=name, Key="d", VersionId=default)
    source.delete_object(Bucket=name, Key="d", VersionId=default, BypassGovernanceRetention=True)
    locked.append((name, kept, until))
    refused("ObjectLockConfigurationNotFoundError", source.get_object_lock_configuration, Bucket=PLAIN)


@operation("GLACIER: refused, restored, readable")
def _():
    name = bucket("cold")
    source.put_object(Bucket=name, Key="k", Body=b"cold", StorageClass="GLACIER")
    refused("InvalidObjectState", source.get_object, Bucket=name, Key="k")
    refused("InvalidObjectState", source.copy_object, Bucket=name, Key="copy", CopySource={"Bucket": name, "Key": "k"})
    restore = lambda: source.restore_object(Bucket=name, Key="k", RestoreRequest={"Days": 2})
    same(restore()["ResponseMetadata"]["HTTPStatusCode"], 202)
    head = source.head_object(Bucket=name, Key="k")
    same((head["Restore"], head["StorageClass"]), ('ongoing-request="true"', "GLACIER"))
    refused("RestoreAlreadyInProgress", source.restore_object, Bucket=name, Key="k", RestoreRequest={"Days": 2})
    thawed = lambda: 'ongoing-request="false", expiry-date="' in source.head_object(Bucket=name, Key="k")["Restore"]
    wait_for(thawed, 600)
    same(read(source, name, "k"), b"cold")
    same(restore()["ResponseMetadata"]["HTTPStatusCode"], 200)
    refused("InvalidObjectState", source.restore_object, Bucket=PLAIN, Key="range", RestoreRequest={"Days": 2})


def wait_for(true, seconds):
    """So many seconds of the world's time. They pass by themselves where it is fast enough: to push its clock would end what others
    are at, addresses that live for minutes and programs that may be silent for an hour."""
    control, speed = os.environ.get("CONTROL_URL"), float(os.environ.get("SANDBOX_SPEED", "1"))
    if control and seconds / speed > 30:
        body = json.dumps({"advance_seconds": seconds}).encode()
        urllib.request.urlopen(urllib.request.Request(f"{control}/clock", data=body, headers={"content-type": "application/json"}))
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, "not restored in time"
        time.sleep(0.1)


@operation("encryption with a customer's key")
def _():
    key = os.urandom(32)
    sse = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": key}
    source.put_object(Bucket=PLAIN, Key="sse-c", Body=b"secret", **sse)
    refused("InvalidRequest", source.get_object, Bucket=PLAIN, Key="sse-c")
    refused("400", source.head_object, Bucket=PLAIN, Key="sse-c")
    refused("AccessDenied", source.get_object, Bucket=PLAIN, Key="sse-c", SSECustomerAlgorithm="AES256", SSECustomerKey=os.urandom(32))
    same(read(source, PLAIN, "sse-c", **sse), b"secret")
    same(source.head_object(Bucket=PLAIN, Key="sse-c", **sse)["SSECustomerAlgorithm"], "AES256")


@operation("encryption by the provider")
def _():
    name = bucket("sse")
    refused("ServerSideEncryptionConfigurationNotFoundError", source.get_bucket_encryption, Bucket=name)
    rule = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
    source.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration=rule)
    same(source.put_object(Bucket=name, Key="k", Body=b"x").get("ServerSideEncryption"), "AES256")
    same(source.head_object(Bucket=name, Key="k").get("ServerSideEncryption"), "AES256")
    source.delete_bucket_encryption(Bucket=name)


def fetch(url, data=None, method=None, headers=None):
    request = urllib.request.Request(url, data=data, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@operation("presigned GET and PUT, expired, tampered, for more than a week")
def _():
    plain = client(request_checksum_calculation="when_required", signature_version="s3v4")
    sign = lambda call, key, **options: plain.generate_presigned_url(call, Params={"Bucket": PLAIN, "Key": key}, **options)
    same(fetch(sign("put_object", "signed é+"), data=b"signed", method="PUT")[0], 200)
    same(fetch(sign("get_object", "signed é+")), (200, b"signed"))
    same(fetch(sign("get_object", "signed é+").replace("signed", "range"))[0], 403)
    status, body = fetch(sign("put_object", "unsigned"), data=b"x", method="PUT", headers={"x-amz-acl": "public-read"})
    assert status == 403 and b"headers present in the request which were not signed" in body, body
    # The older signature moves such parameters into the query.
    old = client(request_checksum_calculation="when_required", signature_version="s3")
    address = old.generate_presigned_url("put_object", Params={"Bucket": PLAIN, "Key": "old", "Metadata": {"who": "me"}})
    same(fetch(address, data=b"old", method="PUT", headers={"content-type": ""})[0], 200)
    same(source.head_object(Bucket=PLAIN, Key="old")["Metadata"], {"who": "me"})
    short = sign("get_object", "signed é+", ExpiresIn=1)
    time.sleep(2.2)
    status, body = fetch(short)
    assert status == 403 and b"AccessDenied" in body and b"expired" in body, body
    status, body = fetch(sign("get_object", "signed é+", ExpiresIn=604801))
    assert status == 400 and b"AuthorizationQueryParametersError" in body, body


@operation("presigned POST from a form")
def _():
    plain = client(signature_version="s3v4")
    post = plain.generate_presigned_post(PLAIN, "form/${filename}", Conditions=[["content-length-range", 1, 10]])
    boundary = uuid.uuid4().hex
    form = "".join(f'--{boundary}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in post["fields"].items())
    send = lambda body: fetch(post["url"], method="POST", headers={"content-type": f"multipart/form-data; boundary={boundary}"},
                              data=f'{form}--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="x.txt"\r\n\r\n{body}\r\n--{boundary}--\r\n'.encode())
    same(send("posted")[0], 204)
    same(read(source, PLAIN, "form/x.txt"), b"posted")
    refused("404", source.head_object, Bucket=PLAIN, Key="form/${filename}")
    status, body = send("much too long for this policy")
    assert status == 400 and b"EntityTooLarge" in body, (status, body)


@operation("keys: one only reads, one only adds")
def _():
    reader, appender = client(pair="READ_"), client(pair="APPEND_")
    same(read(reader, PLAIN, "range"), b"0123456789")
    refused("AccessDenied", reader.put_object, Bucket=PLAIN, Key="r", Body=b"")
    refused("AccessDenied", reader.delete_object, Bucket=PLAIN, Key="range")
    appender.put_object(Bucket=PLAIN, Key="appended", Body=b"1")
    refused("AccessDenied", appender.put_object, Bucket=PLAIN, Key="appended", Body=b"2")
    refused("AccessDenied", appender.delete_object, Bucket=PLAIN, Key="appended")
    refused("AccessDenied", appender.put_bucket_versioning, Bucket=PLAIN, VersioningConfiguration={"Status": "Enabled"})


@operation("wrong credentials and regions are refused")
def _():
    options = dict(endpoint_url=os.environ["S3_SOURCE_ENDPOINT"], config=Config(retries={"max_attempts": 1}))
    good = dict(aws_access_key_id=os.environ["S3_SOURCE_ACCESS_KEY_ID"], aws_secret_access_key=os.environ["S3_SOURCE_SECRET_ACCESS_KEY"])
    nobody = boto3.client("s3", region_name=REGION, aws_access_key_id="SCWNOBODY", aws_secret_access_key="x", **options)
    refused("InvalidAccessKeyId", nobody.list_buckets)
    wrong = boto3.client("s3", region_name=REGION, **{**good, "aws_secret_access_key": "x"}, **options)
    refused("SignatureDoesNotMatch", wrong.list_buckets)
    foreign = boto3.client("s3", region_name="us-east-1", **good, **options)
    refused("AuthorizationHeaderMalformed", foreign.list_buckets)


@operation("virtual-host style")
def _():
    # The name need not resolve here: the request goes to the endpoint's address under the bucket's host name.
    at = urllib.parse.urlsplit(os.environ["S3_SOURCE_ENDPOINT"]).netloc
    host = f"s3.{REGION}.scw.test"
    virtual = boto3.client("s3", endpoint_url=f"http://{host}:{at.split(':')[1]}", region_name=REGION,
                           aws_access_key_id=os.environ["S3_SOURCE_ACCESS_KEY_ID"], aws_secret_access_key=os.environ["S3_SOURCE_SECRET_ACCESS_KEY"],
                           config=Config(s3={"addressing_style": "virtual"}, proxies={"http": f"http://{at}"}))
    same(virtual.get_object(Bucket=PLAIN, Key="range")["Body"].read(), b"0123456789")
    assert virtual.list_objects_v2(Bucket=PLAIN, MaxKeys=1)["KeyCount"] == 1


@operation("what the provider does not have is refused")
def _():
    refused("NotImplemented", source.get_bucket_accelerate_configuration, Bucket=PLAIN)
    refused("NotImplemented", source.get_bucket_replication, Bucket=PLAIN)
    refused("NotImplemented", source.get_object_attributes, Bucket=PLAIN, Key="range", ObjectAttributes=["ETag"])
    refused("InvalidStorageClass", source.put_object, Bucket=PLAIN, Key="x", Body=b"", StorageClass="DEEP_ARCHIVE")


@operation("the archive is another endpoint")
def _():
    name = bucket("far", archive)
    archive.put_object(Bucket=name, Key="k", Body=b"far")
    refused("NoSuchBucket", source.get_object, Bucket=name, Key="k")
    refused("InvalidAccessKeyId", boto3.client("s3", endpoint_url=os.environ["S3_ARCHIVE_ENDPOINT"], region_name=REGION,
            aws_access_key_id=os.environ["S3_SOURCE_ACCESS_KEY_ID"], aws_secret_access_key=os.environ["S3_SOURCE_SECRET_ACCESS_KEY"]).list_buckets)


@operation("object lock: deletable once the retention is over")
def _():
    for name, version, until in locked:
        while datetime.now(timezone.utc) <= until:
            time.sleep(0.2)
        source.delete_object(Bucket=name, Key="c", VersionId=version)


def sweep():
    for at, name in made:
        for page in at.get_paginator("list_object_versions").paginate(Bucket=name):
            for found in page.get("Versions", []) + page.get("DeleteMarkers", []):
                at.delete_object(Bucket=name, Key=found["Key"], VersionId=found["VersionId"], BypassGovernanceRetention=True)
        at.delete_bucket(Bucket=name)


OPERATIONS.append(("clean up", sweep))


def main():
    SCRATCH.mkdir(parents=True, exist_ok=True)
    for name, work in OPERATIONS:
        try:
            work()
            print("boto3", name, "passed", "", sep="\t", flush=True)
        except Exception as error:  # noqa: BLE001: whatever goes wrong is the finding
            detail = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            print("boto3", name, "failed", detail, sep="\t", flush=True)


main()
