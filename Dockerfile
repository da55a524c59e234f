# Statewide: by itself the Airflow of one machine, which `make up` runs outside of a container; with
# docker-compose.yaml each of the processes of several.
FROM python:3.11.13-slim-bookworm

RUN apt-get update \
    && apt-get install --yes --no-install-recommends git tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 50000 statewide

WORKDIR /opt/statewide
COPY requirements.txt .
RUN pip install --no-cache-dir --no-deps --require-hashes -r requirements.txt && pip check
COPY --chown=root:root . .
RUN install -d -o statewide -g statewide -m 0700 /var/lib/statewide /var/log/statewide

ENV PYTHONPATH=/opt/statewide \
    PYTHONDONTWRITEBYTECODE=1 \
    STATEWIDE_HOME=/var/lib/statewide \
    STATEWIDE_HOST=0.0.0.0 \
    HOME=/var/lib/statewide

USER statewide
EXPOSE 8080
# tini passes signals on and reaps what Airflow's workers leave.
ENTRYPOINT ["tini", "--"]
CMD ["python", "-m", "ops.instance", "run"]
