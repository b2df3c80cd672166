# The Airflow image: the core, the DAGs and the recipes. The stages run in images of their own
# (containers/stages/Dockerfile).
#
#     docker build -t recloop-airflow .
ARG PYTHON=python:3.11-slim-bookworm

FROM $PYTHON AS code
COPY components /app/components
COPY dags /app/dags
COPY pipelines /app/pipelines
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /app

FROM $PYTHON
# A volume mounted at a directory of the image takes over its owner.
RUN groupadd --gid 10001 recloop \
 && useradd --uid 10001 --gid 10001 --home-dir /tmp --no-create-home --shell /usr/sbin/nologin recloop \
 && install -d -o 10001 -g 10001 /workspace /opt/airflow \
 && find / -xdev -perm /6000 -type f -exec chmod a-s {} +
COPY containers/install.sh containers/locks/airflow.txt /usr/local/share/recloop/
RUN /usr/local/share/recloop/install.sh /usr/local/share/recloop/airflow.txt
ENV PATH=/opt/venv/bin:$PATH \
    HOME=/tmp \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    RECLOOP_HOME=/app \
    AIRFLOW_HOME=/tmp/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/app/dags \
    AIRFLOW__CORE__LOAD_EXAMPLES=False
WORKDIR /app
STOPSIGNAL SIGTERM
CMD ["airflow", "version"]
USER 10001:10001
COPY --from=code /app /app
ARG VERSION=unknown
ARG REVISION=unknown
ENV RECLOOP_GIT_SHA=$REVISION
LABEL org.opencontainers.image.title="recloop-airflow" \
      org.opencontainers.image.description="Apache Airflow with recloop's DAGs" \
      org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$REVISION
