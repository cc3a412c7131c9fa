# The first stage builds the environment, and the second one runs it: the final image has no build tools, no cache, and
# only the pip of the base image. BASE may be any image with Python 3.11 or newer and the venv module.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
WORKDIR /build
RUN python3 -m venv /opt/build && python3 -m venv --without-pip /opt/collector
COPY requirements/build.txt requirements/run.txt requirements/
RUN /opt/build/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements/build.txt \
    && /opt/build/bin/pip --python /opt/collector install --no-cache-dir --no-compile --require-hashes \
        --only-binary :all: --report locked.json -r requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY collector collector
# Image layers round file times, which invalidates bytecode that is validated by time. `unchecked-hash` bytecode is
# never validated.
RUN /opt/build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir dist . \
    && /opt/build/bin/pip --python /opt/collector install --no-cache-dir --no-compile --no-deps --no-index \
        --report own.json dist/*.whl \
    && /opt/collector/bin/python -m compileall -q -f --invalidation-mode unchecked-hash /opt/collector/lib
# The SBOM and the texts of all licences. The reports of pip contain the hashes of the installed wheels.
COPY deploy/inventory deploy/inventory
RUN /opt/build/bin/python -m deploy.inventory /opt/collector/lib/python3*/site-packages /opt/collector/share \
        locked.json own.json

FROM ${BASE}
# The official images contain no bytecode of the standard library, and a read-only root file system cannot store any.
# Without this step each start would compile it again, including each health check.
RUN python3 -m compileall -q -x 'site-packages|/tests?/' "$(python3 -c 'import os; print(os.path.dirname(os.__file__))')"
COPY --from=build /opt/collector /opt/collector
WORKDIR /etc/collector
ENV PATH=/opt/collector/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 COLLECTOR__HTTP__LISTEN=[::]:9464
USER 10001:10001
EXPOSE 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 CMD ["/opt/collector/bin/collector", "health"]
ENTRYPOINT ["/opt/collector/bin/collector"]
CMD ["run"]
ARG VERSION=unknown REVISION=unknown SOURCE=unknown
LABEL org.opencontainers.image.title="collector" \
      org.opencontainers.image.description="Streams audience data from signage vendors to Kafka, exactly once" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"
