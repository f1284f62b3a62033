# One image for every process of the service; which one it is, its command says.
FROM python:3.12-slim

# The CPU build of torch; for a GPU: --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu128
ARG TORCH=torch==2.13.0
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

RUN useradd --uid 10001 --create-home countermark \
    && mkdir /data && chown countermark /data && chmod 700 /data
WORKDIR /app
RUN pip install --no-cache-dir --index-url "$TORCH_INDEX" "$TORCH"
COPY pyproject.toml README.md LICENSE ./
COPY api api
COPY generators generators
COPY migrations migrations
COPY provenance provenance
COPY workers workers
# The code is compiled now: when it runs, nothing can be written here.
RUN pip install --no-cache-dir --editable ".[otel,postgres,s3]" \
    && python -m compileall -q api generators migrations provenance workers

USER countermark
# Libraries that keep caches at home find no home to write to in a read-only container.
ENV COUNTERMARK_DATA=/data/countermark PYTHONUNBUFFERED=1 HOME=/tmp
VOLUME /data
EXPOSE 8000
CMD ["python", "-m", "workers.command", "serve", "--host", "0.0.0.0", "--port", "8000"]
