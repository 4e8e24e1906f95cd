FROM python:3.12-slim-bookworm AS build
WORKDIR /build
RUN python -m venv /venv
# requirements-otel.lock: with what traces need.
ARG LOCK=requirements.lock
COPY requirements.lock requirements-otel.lock requirements-build.lock ./
RUN /venv/bin/pip install --no-cache-dir --require-hashes -r $LOCK
RUN pip install --no-cache-dir --require-hashes -r requirements-build.lock
COPY pyproject.toml README.md LICENSE ./
COPY gateway gateway
COPY plugins plugins
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /venv/bin/pip install --no-cache-dir --no-deps --no-index /wheels/*.whl

FROM python:3.12-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /app gateway \
    && install -d -o gateway -g gateway -m 0700 /state
COPY --from=build /venv /venv
WORKDIR /app
COPY config config
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOST=0.0.0.0 PORT=8080 STATE_DIR=/state
USER gateway
VOLUME /state
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/readyz', timeout=2)"]
CMD ["python", "-m", "gateway", "serve"]
