"""An S3 server on loopback that fails when it is told to."""

from __future__ import annotations

import contextlib
import logging
import random
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import boto3
from moto.server import DomainDispatcherApplication, create_backend_app  # type: ignore[attr-defined]  # moto declares no exports
from werkzeug.serving import make_server

KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_EC2_METADATA_DISABLED": "true"}


class FailingServer:
    """Answers by 503 with the chance `failing`."""

    def __init__(self, rng: random.Random) -> None:
        self.failing, self._rng = 0.0, rng
        self._application = DomainDispatcherApplication(create_backend_app)
        self.server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        url = f"http://127.0.0.1:{self.server.port}"
        self._client = boto3.client(
            "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
        )
        self._bucket = f"bucket-{self.server.port}"
        self.environment = KEYS

    @property
    def location(self) -> str:
        """The URI of a folder in the bucket."""
        return (
            f"s3://{self._bucket}/results?endpoint_override=127.0.0.1:{self.server.port}&scheme=http&region=us-east-1"
        )

    def make_bucket(self) -> None:
        self._client.create_bucket(Bucket=self._bucket)

    def copy(self, folder: Path) -> Path:
        """All objects as files."""
        shutil.rmtree(folder, ignore_errors=True)
        for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket):
            for entry in page.get("Contents", []):
                if not entry["Key"].endswith("/"):
                    target = folder / Path(entry["Key"]).relative_to("results")
                    target.parent.mkdir(parents=True, exist_ok=True)
                    self._client.download_file(self._bucket, entry["Key"], str(target))
        return folder

    def _answer(self, environment: dict[str, Any], respond: Callable[..., Any]) -> Iterable[bytes]:
        if self._rng.random() < self.failing:
            respond("503 Slow Down", [("Content-Type", "application/xml")])
            return [b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"]
        answer: Iterable[bytes] = self._application(environment, respond)
        return answer


@contextlib.contextmanager
def failing_s3(rng: random.Random) -> Iterator[FailingServer]:
    """The server, with an empty bucket."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = FailingServer(rng)
    thread = threading.Thread(target=server.server.serve_forever, daemon=True)
    thread.start()
    try:
        server.make_bucket()
        yield server
    finally:
        server.server.shutdown()
        thread.join()
