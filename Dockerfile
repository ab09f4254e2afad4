# One image for web, worker and beat; docker-compose.yml gives each its command.
FROM python:3.11-slim-bookworm AS build
WORKDIR /app
RUN python -m venv /venv
COPY requirements.lock ./
RUN /venv/bin/pip install --no-cache-dir --no-deps -r requirements.lock

FROM python:3.11-slim-bookworm
# libcairo2 draws the chart in a Slack message.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libcairo2 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 funnelwatch \
    && install -d -o funnelwatch /data
COPY --from=build /venv /venv
WORKDIR /app
COPY pyproject.toml README.md manage.py ./
COPY funnelwatch funnelwatch
COPY sdk/browser/dist sdk/browser/dist
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 FUNNELWATCH_DATA=/data
RUN pip install --no-cache-dir --no-deps -e .
USER funnelwatch
VOLUME /data
EXPOSE 8000
CMD ["uvicorn", "funnelwatch.asgi:application", "--host", "0.0.0.0", "--port", "8000", "--no-access-log", \
     "--http", "funnelwatch.web.connection:Connection", "--no-proxy-headers"]
