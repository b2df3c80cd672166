"""Make the buckets that are named on the command line, where they are not there yet."""

import sys

import boto3

client = boto3.client("s3")
there = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
for name in sys.argv[1:]:
    if name not in there:
        client.create_bucket(Bucket=name)
    print(name, "was there" if name in there else "made", flush=True)
