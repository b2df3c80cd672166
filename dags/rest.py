"""Airflow's REST API, as far as recloop's commands need it."""

import json
import os
from pathlib import Path
from typing import Any, Final

import httpx

from components.core.errors import InfrastructureError, InvalidInputError

PASSWORDS: Final = "simple_auth_manager_passwords.json.generated"  # a file's name, and Airflow's
VARIABLES: Final = ("RECLOOP_AIRFLOW_TOKEN", "RECLOOP_AIRFLOW_USER", "RECLOOP_AIRFLOW_PASSWORD")
_TIMEOUT_S = 30.0


class Rest:
    """A running Airflow, and someone whom it knows.

    Who asks is a token or a user with a password from the environment, or else the user whose password
    `make up` has written into Airflow's home.

    Args:
        url: where its API server listens, such as http://localhost:8080.
        airflow_home: directory of a local Airflow.

    Raises:
        InvalidInputError: nobody is named, or Airflow refuses who is.
        InfrastructureError: nothing answers there.
    """

    def __init__(self, url: str, airflow_home: Path) -> None:
        self.url = url.rstrip("/")
        self._client = httpx.Client(base_url=self.url, timeout=_TIMEOUT_S)
        token, user, password = map(os.environ.get, VARIABLES)
        if token is None:
            who = {"username": user, "password": password} if user else _local_user(airflow_home)
            token = self.call("POST", "/auth/token", who)["access_token"]
        self._client.headers["Authorization"] = f"Bearer {token}"

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """The JSON that `path` answers.

        Raises:
            InvalidInputError: Airflow refuses.
            InfrastructureError: nothing answers, or not as it should.
        """
        try:
            answer = self._client.request(method, path, json=body, params=query)
            answer.raise_for_status()
            return answer.json()
        except httpx.HTTPStatusError as error:
            refused = error.response.is_client_error
            kind = InvalidInputError if refused else InfrastructureError
            raise kind(f"{method} {self.url}{path}: {_detail(error.response)}") from error
        except (httpx.HTTPError, ValueError) as error:
            raise InfrastructureError(f"Airflow at {self.url} does not answer: {error}") from error


def _local_user(airflow_home: Path) -> dict[str, str]:
    place = airflow_home / PASSWORDS
    try:
        [(user, password), *_] = json.loads(place.read_bytes()).items()
    except (OSError, ValueError) as error:
        token, *named = VARIABLES
        raise InvalidInputError(
            f"{place}: holds no password of Airflow's; set {token}, or {' and '.join(named)}"
        ) from error
    return {"username": user, "password": password}


def _detail(answer: httpx.Response) -> str:
    try:
        detail = answer.json()["detail"]
    except (ValueError, TypeError, LookupError):
        detail = answer.text.strip()
    return f"{answer.status_code} {answer.reason_phrase}: {detail}"
