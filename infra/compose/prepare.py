"""Draw the secrets of compose.yaml into secrets/, and say in .env where the container engine listens.

    python3 infra/compose/prepare.py

What is there already stays: running services keep their secrets. Needs nothing but Python.
"""

import argparse
import base64
import json
import os
import secrets
import sys
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
DATABASE_USERS: Final = ("airflow", "mlflow")
# What each S3 identity may do; `stages` and `mlflow` see their own bucket only.
S3_ACTIONS: Final = {
    "admin": ["Admin", "Read", "Write", "List"],
    "stages": [f"{action}:recloop" for action in ("Read", "Write", "List")],
    "mlflow": [f"{action}:mlflow" for action in ("Read", "Write", "List")],
}


def main() -> int:
    """Write what is missing; 0 when all is there."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--into", type=Path, default=HERE, metavar="DIRECTORY", help="of compose.yaml")
    parser.add_argument("--secrets-only", action="store_true", help="no .env; needs no container engine")
    options = parser.parse_args()
    socket = engine_socket()
    if not options.secrets_only and not socket.is_socket():
        print(f"{socket}: no container engine listens there; name its socket in DOCKER_HOST", file=sys.stderr)
        return 2
    folder = options.into / "secrets"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (folder / "complete").exists():
        write_secrets(folder)
    if not options.secrets_only:
        where = f"RECLOOP_ENGINE_SOCKET={socket}\nRECLOOP_ENGINE_GID={socket.stat().st_gid}\n"
        (options.into / ".env").write_text(where)
    print(f"secrets in {folder}; Airflow's user is admin, the password in {folder / 'airflow-passwords'}")
    return 0


def engine_socket() -> Path:
    """Where the engine listens: as `DOCKER_HOST` says, or at its usual place."""
    return Path(os.environ.get("DOCKER_HOST", "").removeprefix("unix://") or "/var/run/docker.sock")


def write_secrets(folder: Path) -> None:
    """Draw all secrets anew.

    The folder is its owner's alone. The files in it are readable: compose mounts each one as it is into
    services that run as other users.
    """
    for name, content in draw().items():
        path = folder / name
        path.unlink(missing_ok=True)  # left by a call that was cut short, and not writable
        path.write_text(content)
        path.chmod(0o444)
    (folder / "complete").touch()


def draw() -> dict[str, str]:
    """File name → content."""
    files = {
        "postgres-password": secrets.token_urlsafe(32),
        "airflow-fernet-key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "airflow-jwt-secret": secrets.token_urlsafe(64),
        "airflow-api-secret": secrets.token_urlsafe(64),
        "airflow-passwords": json.dumps({"admin": secrets.token_urlsafe(24)}),
        "grafana-password": secrets.token_urlsafe(24),
    }
    for user in DATABASE_USERS:
        password = secrets.token_urlsafe(32)
        files[f"{user}-database-password"] = password
        files[f"{user}-database-url"] = f"postgresql+psycopg2://{user}:{password}@postgres:5432/{user}"
    keys = {name: (secrets.token_hex(10).upper(), secrets.token_urlsafe(32)) for name in S3_ACTIONS}
    identities = [
        {
            "name": name,
            "credentials": [{"accessKey": keys[name][0], "secretKey": keys[name][1]}],
            "actions": actions,
        }
        for name, actions in S3_ACTIONS.items()
    ]
    files["s3-identities"] = json.dumps({"identities": identities}, indent=2)
    for name in ("admin", "mlflow"):  # as the AWS libraries read them from a file
        access, secret = keys[name]
        files[f"s3-{name}"] = f"[default]\naws_access_key_id = {access}\naws_secret_access_key = {secret}\n"
    access, secret = keys["stages"]  # as variables, which the scheduler hands on to the stages' containers
    files["stages.env"] = f"AWS_ACCESS_KEY_ID={access}\nAWS_SECRET_ACCESS_KEY={secret}\n"
    return files


if __name__ == "__main__":
    sys.exit(main())
