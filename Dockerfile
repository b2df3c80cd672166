# The Airflow image: the DAGs, the recipes and the core; the stages run in images of their own.
#
#     docker build -t recloop-airflow .
ARG PYTHON=python:3.11-slim-bookworm

FROM $PYTHON AS build
RUN python3 -m venv --without-pip /opt/venv
COPY containers/locks/airflow.txt /locks/
RUN python3 -m pip --python /opt/venv/bin/python install --no-cache-dir --no-deps --require-hashes -r /locks/airflow.txt

FROM $PYTHON AS code
COPY components /app/components
COPY dags /app/dags
COPY pipelines /app/pipelines
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /app

FROM $PYTHON
RUN groupadd --gid 10001 recloop \
 && useradd --uid 10001 --gid 10001 --home-dir /tmp --no-create-home --shell /usr/sbin/nologin recloop \
 && install -d -o 10001 -g 10001 /workspace /opt/airflow
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    RECLOOP_HOME=/app \
    AIRFLOW_HOME=/tmp/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/app/dags \
    AIRFLOW__CORE__LOAD_EXAMPLES=False
WORKDIR /app
USER 10001:10001
STOPSIGNAL SIGTERM
CMD ["airflow", "version"]
COPY --from=build /opt/venv /opt/venv
COPY --from=code /app /app
ARG VERSION=0.0.0
ARG REVISION=unknown
ENV RECLOOP_GIT_SHA=$REVISION
LABEL org.opencontainers.image.title="recloop-airflow" \
      org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$REVISION
