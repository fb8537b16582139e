"""Devices that speak the wire of IoT Jobs, in a process of their own: the cloud's has enough to do.

Run as ``asking_devices.py``: of each thing that is named in a line of its input it does the next
job, as an agent does, and answers with a line of JSON: whether there was one.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
from botocore.config import Config

_AT_ONCE = 4


def done(jobs: Any, thing: str) -> bool:
    """Start the next job of one device, read its document, and report."""
    execution = jobs.start_next_pending_job_execution(thingName=thing).get("execution")
    if execution is None:
        return False
    try:
        jobs.update_job_execution(jobId=execution["jobId"], thingName=thing, status="SUCCEEDED")
    except jobs.exceptions.InvalidStateTransitionException:
        # A report whose answer was lost is told again; it stands all the same.
        told = jobs.describe_job_execution(jobId=execution["jobId"], thingName=thing)
        if told["execution"]["status"] != "SUCCEEDED":
            raise
    return bool(execution["jobDocument"])


def main() -> None:
    """Until the input ends."""
    config = Config(retries={"mode": "standard", "total_max_attempts": 5})
    jobs: Any = boto3.client("iot-jobs-data", config=config)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for line in sys.stdin:
            things = json.loads(line)
            given = list(pool.map(lambda thing: done(jobs, thing), things))
            print(json.dumps(given), flush=True)


if __name__ == "__main__":
    main()
