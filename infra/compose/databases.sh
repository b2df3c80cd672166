#!/bin/bash
# Run once by the image, on an empty volume: a role and a database for each service, closed to the others.
set -euo pipefail

for name in airflow mlflow; do
    psql --username postgres --set ON_ERROR_STOP=1 --set name="$name" \
        --set password="$(cat "/run/secrets/$name-database-password")" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
done
