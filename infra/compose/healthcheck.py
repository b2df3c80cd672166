"""`python healthcheck.py URL [PART]`: whether a service answers and, of Airflow, whether a part is healthy.

The API server knows of the other parts from their heartbeats; asking each with a command of Airflow's own
would start Airflow anew every few seconds.
"""

import json
import sys
import urllib.request

url, *parts = sys.argv[1:]
with urllib.request.urlopen(url, timeout=8) as answer:  # noqa: S310  # raises for anything but success
    body = answer.read()
for part in parts:
    status = json.loads(body)[part]["status"]
    if status != "healthy":
        sys.exit(f"{part}: {status}")
