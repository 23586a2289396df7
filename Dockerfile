# The image of Flockwatch: exporter, web UI and simulator. docs/install.md says how to use it, and what of it was tried.
# The simulator is in it for `docker compose --profile demo`.
ARG DEBIAN=debian:trixie-20260918-slim@sha256:a99cfc517144bc59b1978475ec53b46ecabec7e43635402ee5b77cc54cd1b20a

FROM ${DEBIAN} AS build
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-venv
WORKDIR /src
COPY deploy/constraints.txt deploy/constraints.txt
COPY pyproject.toml README.md LICENSE ./
COPY exporter exporter
COPY onboarding_ui onboarding_ui
COPY simulator simulator
RUN python3 -m venv /opt/flockwatch
RUN /opt/flockwatch/bin/pip install --no-cache-dir --only-binary :all: -c deploy/constraints.txt '.[fast]'
# Nothing is installed later, and the image is smaller without it.
RUN /opt/flockwatch/bin/pip uninstall -y pip && find /opt/flockwatch -type d -name tests -prune -exec rm -r {} +

FROM ${DEBIAN}
# libudev1 tells of USB boards that come and go.
RUN apt-get update && apt-get install -y --no-install-recommends python3 libudev1 && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/log/*
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin flockwatch && install -d -o flockwatch -g flockwatch -m 0700 /data
COPY --from=build /opt/flockwatch /opt/flockwatch
COPY targets.yml /etc/flockwatch/targets.yml
COPY deploy/health.py /opt/flockwatch/health.py
ENV PATH=/opt/flockwatch/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    FLOCKWATCH_DATABASE_PATH=/data/flockwatch.json \
    FLOCKWATCH_DRIVERS_PATH=/data/miner_drivers
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 9877 8080 12345/udp
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 CMD ["python3", "-IS", "/opt/flockwatch/health.py"]
ENTRYPOINT ["flockwatch"]
CMD ["run", "--config.file", "/etc/flockwatch/targets.yml"]
