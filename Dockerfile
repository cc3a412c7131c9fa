# Built in one stage, run in another: no compiler and no pip cache in the end.
FROM python:3.11-slim-bookworm AS build
WORKDIR /build
RUN python -m venv /opt/collector
COPY requirements requirements
RUN /opt/collector/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY collector collector
RUN python -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements/dev.txt \
    && /opt/build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir dist . \
    && /opt/collector/bin/pip install --no-cache-dir --no-deps dist/*.whl

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="collector" \
      org.opencontainers.image.description="Streams audience data from signage vendors to Kafka, exactly once" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/collector /opt/collector
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 COLLECTOR__HTTP__LISTEN=0.0.0.0:9464
USER 10001:10001
EXPOSE 9464
STOPSIGNAL SIGTERM
ENTRYPOINT ["/opt/collector/bin/collector"]
CMD ["run", "--config", "/etc/collector/config.toml"]
