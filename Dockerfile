# The images of Panal: one target each, `broker` and `worker`. `npm run images` builds both; by hand it is
#   docker build --target broker --tag panal/brokerfaas .
#
# Build arguments:
#   BASE        what the images run on: any image with Node.js 20.19 or newer and glibc
#   BUILD_BASE  what they are built on: the same, with npm
#   AGENT_BASE  what the agent is compiled on: an image with `cc`, or a Debian that can install one
#   VERSION, REVISION  for the labels
# Every stage runs on the platform of its image, so that `docker buildx build --platform linux/amd64,linux/arm64` makes
# the agent and picks the native modules for each.
ARG BASE=node:20-bookworm-slim
ARG BUILD_BASE=node:20-bookworm-slim
ARG AGENT_BASE=node:20-bookworm-slim

# Static, so that the compiler and its C library stay behind.
FROM ${AGENT_BASE} AS agent
RUN command -v cc >/dev/null || \
  (apt-get update -qq && apt-get install -y -qq --no-install-recommends gcc libc6-dev)
WORKDIR /agent
COPY runtimes/agent ./
RUN node build.mjs && test -x build/agent

# Manifests apart, so that a change of the code does not install everything again.
FROM ${BUILD_BASE} AS manifests
WORKDIR /panal
COPY package.json package-lock.json ./
COPY support/package.json support/
COPY api/package.json api/
COPY protocol/package.json protocol/
COPY transport/package.json transport/
COPY bundle/package.json bundle/
COPY db/package.json db/
COPY broker/package.json broker/
COPY worker/package.json worker/
COPY client/package.json client/
COPY cli/package.json cli/
COPY runtimes/package.json runtimes/
COPY scripts/slim-modules.mjs scripts/

FROM manifests AS broker-modules
RUN npm ci --omit=dev --workspace=@panal/broker --no-audit --no-fund --loglevel=error && \
  node scripts/slim-modules.mjs node_modules

FROM manifests AS worker-modules
RUN npm ci --omit=dev --workspace=@panal/worker --no-audit --no-fund --loglevel=error && \
  node scripts/slim-modules.mjs node_modules

FROM manifests AS built
RUN npm ci --no-audit --no-fund --loglevel=error
COPY tsconfig.base.json ./
COPY support support
COPY api api
COPY protocol protocol
COPY transport transport
COPY bundle bundle
COPY db db
COPY broker broker
COPY worker worker
COPY runtimes/nodejs runtimes/nodejs
RUN node runtimes/nodejs/build.mjs && npx tsc -b broker worker && rm -rf */src && find */dist -name '*.d.ts' -delete -o -name '*.map' -delete

FROM ${BASE} AS broker
ENV NODE_ENV=production PORT=3333 HOST=0.0.0.0 ZMQ_BIND_ADDRESS=tcp://*:2000 FAAS_DATA_DIR=/data
# 1000 is the user `node` of the official images; a volume takes over the owner of the folder it covers.
RUN mkdir /data && chown 1000:1000 /data
WORKDIR /panal
COPY --from=broker-modules /panal/package.json ./
COPY --from=broker-modules /panal/node_modules node_modules
COPY runtimes runtimes
COPY --from=built /panal/support support
COPY --from=built /panal/api api
COPY --from=built /panal/protocol protocol
COPY --from=built /panal/transport transport
COPY --from=built /panal/bundle bundle
COPY --from=built /panal/db db
COPY --from=built /panal/broker broker
USER 1000:1000
VOLUME /data
EXPOSE 3333 2000 2001 2002
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/healthz`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "broker/dist/main.js"]
ARG VERSION=0
ARG REVISION=
LABEL org.opencontainers.image.title="brokerfaas" \
  org.opencontainers.image.description="The broker of Panal, a function-as-a-service cluster" \
  org.opencontainers.image.licenses="MIT" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}"

FROM ${BASE} AS worker
ENV NODE_ENV=production ZMQ_CONN_ADDRESS=tcp://broker:2000 FAAS_DATA_DIR=/data FAAS_METRICS_ADDRESS=0.0.0.0:9101
WORKDIR /panal
COPY --from=worker-modules /panal/package.json ./
COPY --from=worker-modules /panal/node_modules node_modules
COPY runtimes runtimes
COPY --from=agent /agent/build runtimes/agent/build
# Loads TypeScript in the Node.js runtime.
COPY --from=built /panal/runtimes/nodejs/esbuild runtimes/nodejs/esbuild
COPY --from=built /panal/support support
COPY --from=built /panal/api api
COPY --from=built /panal/protocol protocol
COPY --from=built /panal/transport transport
COPY --from=built /panal/bundle bundle
COPY --from=built /panal/worker worker
# Root, for who has the engine's socket has the machine anyway, and the socket belongs to root.
# What the worker and its sandboxes share is here: it has to be a volume, which the engine can mount into both.
VOLUME /data
EXPOSE 9101
# That it lives, not that it is connected: a worker without its broker waits for it, and should not be replaced.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.FAAS_METRICS_ADDRESS.split(':').at(-1)}/metrics`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "worker/dist/main.js"]
ARG VERSION=0
ARG REVISION=
LABEL org.opencontainers.image.title="workerfaas" \
  org.opencontainers.image.description="A worker of Panal, a function-as-a-service cluster" \
  org.opencontainers.image.licenses="MIT" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}"
