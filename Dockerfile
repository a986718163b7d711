# The worker's image: Node, the production packages and Darkroom's own sources, and nothing else. No shell, no
# package manager, no distribution: what the programs load is copied from the base image, library by library.
#
#   docker build -t darkroom .
#   docker run --read-only --cap-drop ALL -e AMQP_URL=… -e FUNCTION=blur -v photos:/data darkroom
#   docker run --read-only --cap-drop ALL darkroom functions blur
#
# The base image is named by a tag, whose content changes. To build on exactly the one that was looked at, and the same again:
#
#   docker buildx imagetools inspect node:24-trixie-slim --format '{{.Manifest.Digest}}'
#   docker build -t darkroom --build-arg NODE_IMAGE=node:24-trixie-slim@sha256:… .
ARG NODE_IMAGE=node:24-trixie-slim

# Production packages, without the files that only a reader or a compiler opens. No install script runs (.npmrc):
# sharp's prebuilt libraries are packages of their own, and Node comes from the base image.
FROM ${NODE_IMAGE} AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev \
  && find node_modules -type f \( -name '*.map' -o -name '*.ts' -o -name '*.mts' -o -name '*.cts' -o -name '*.md' \
    -o -name '*.markdown' -o -name '.package-lock.json' \) ! -iname 'licen[cs]e*' -delete \
  && find node_modules -type d \( -path '*/@opentelemetry/*/build/esnext' -o -path '*/@opentelemetry/*/build/esm' \
    -o -path 'node_modules/*/test' -o -path 'node_modules/*/tests' -o -path 'node_modules/zod/src' \) -prune \
    -exec rm -rf {} + \
  && find node_modules -type d -empty -delete

# The root of the final image: node without its debugging symbols, tini, jemalloc, and the libraries they load.
# jemalloc, because glibc's allocator keeps the memory of large images (60 photos of 12 megapixels left 293 MB in use,
# against 85 MB with the settings below); tini, because as PID 1 it passes signals
# on even to a command that handles none, and reaps what a killed child leaves.
FROM ${NODE_IMAGE} AS system
RUN apt-get update && apt-get install -y --no-install-recommends binutils libjemalloc2 tini
COPY --from=packages /app/node_modules /app/node_modules
RUN set -eu; mkdir -p /root-fs/usr/bin /root-fs/usr/lib /root-fs/etc /root-fs/data /root-fs/tmp; \
  strip -o /root-fs/usr/bin/node "$(command -v node)"; \
  cp "$(command -v tini)" "$(command -v setpriv)" /root-fs/usr/bin/; \
  cp -L /usr/lib/*/libjemalloc.so.2 /root-fs/usr/lib/libjemalloc.so.2; \
  find /root-fs/usr /app/node_modules -type f \( -path '*/bin/*' -o -name '*.so*' -o -name '*.node' \) -exec ldd {} + 2>/dev/null \
    | awk '$2 == "=>" && $3 ~ /^\/(usr\/)?lib/ { print $3 } $1 ~ /^\/lib/ && $2 ~ /^\(/ { print $1 }' \
    | sort -u | xargs cp -L --parents -t /root-fs; \
  echo 'node:x:1000:1000::/data:/sbin/nologin' >/root-fs/etc/passwd; \
  echo 'node:x:1000:' >/root-fs/etc/group; \
  echo 'hosts: files dns' >/root-fs/etc/nsswitch.conf; \
  chown 1000:1000 /root-fs/data; chmod 1777 /root-fs/tmp; \
  chmod 0111 /root-fs/usr/bin/tini

# A compile cache made here, read by every container: it holds for this Node, these paths and this user.
FROM scratch AS app
COPY --from=system /root-fs /
COPY --from=packages --chown=1000:1000 /app /app
COPY package.json LICENSE /app/
COPY functions /app/functions
COPY runtime /app/runtime
COPY keda /app/keda
WORKDIR /app
USER 1000:1000
# UV_THREADPOOL_SIZE and sharp's threads are left to the worker, which sizes them from the container's CPU limit.
# MALLOC_ARENA_MAX would steer an allocator that is not in use.
ENV NODE_ENV=production \
  LD_PRELOAD=/usr/lib/libjemalloc.so.2 \
  MALLOC_CONF=background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0 \
  STORAGE_URL=file:///data \
  PATH=/usr/bin
RUN ["node", "runtime/cli/warm-compile-cache.ts"]
EXPOSE 9090
ENTRYPOINT ["tini", "--", "node", "/app/runtime/cli/darkroom.mjs"]
CMD ["worker"]
