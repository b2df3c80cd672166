"""The Secrets of this folder's manifests, as JSON for `kubectl apply`, from what compose's prepare.py drew.

    python3 infra/compose/prepare.py --secrets-only --into DIRECTORY
    python3 infra/kubernetes/secrets_of.py DIRECTORY/secrets | kubectl apply --filename -

With a database or an S3 server of your own, put its addresses and keys into the files first.
"""

import json
import sys
from pathlib import Path
from typing import Final

STAGES: Final = "recloop"
SERVICES: Final = "recloop-services"


def main() -> int:
    """Print a list of Secrets."""
    if len(sys.argv) != 2 or not Path(sys.argv[1], "complete").is_file():
        print("need the folder that prepare.py filled", file=sys.stderr)
        return 2
    print(json.dumps({"apiVersion": "v1", "kind": "List", "items": secrets_of(Path(sys.argv[1]))}, indent=1))
    return 0


def secrets_of(folder: Path) -> list[dict[str, object]]:
    """Every Secret that a manifest, a value of Airflow's chart or the example recipe names."""

    def content(name: str) -> str:
        return (folder / name).read_text()

    def variables(name: str) -> dict[str, str]:
        """The two keys of a file as the AWS libraries read it, as variables."""
        lines = [line.split(" = ") for line in content(name).splitlines() if " = " in line]
        return {key.upper(): value for key, value in lines}

    stages = dict(line.split("=", 1) for line in content("stages.env").splitlines())
    credentials = "[default]\n" + "".join(f"{key.lower()} = {value}\n" for key, value in stages.items())
    passwords = ("postgres-password", "airflow-database-password", "mlflow-database-password")
    services = {
        "airflow-keys": {
            "connection": content("airflow-database-url"),
            "fernet-key": content("airflow-fernet-key"),
            "api-secret-key": content("airflow-api-secret"),
            "jwt-secret": content("airflow-jwt-secret"),
        },
        "airflow-passwords": {"passwords.json": content("airflow-passwords")},
        "airflow-s3": {"credentials": credentials},
        "mlflow": {"database-url": content("mlflow-database-url"), **variables("s3-mlflow")},
        "postgres": {name: content(name) for name in passwords},
        "s3-admin": variables("s3-admin"),
        "s3-identities": {"identities": content("s3-identities")},
    }
    made = [_secret(STAGES, "s3", stages)]
    return made + [_secret(SERVICES, name, data) for name, data in services.items()]


def _secret(namespace: str, name: str, data: dict[str, str]) -> dict[str, object]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata, "stringData": data}


if __name__ == "__main__":
    sys.exit(main())
