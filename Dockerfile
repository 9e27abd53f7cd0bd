# The connector's image, for linux/amd64 and linux/arm64 alike:
#
#     docker build --tag source-asana:0.1.0 .
#     docker buildx build --platform linux/amd64,linux/arm64 --tag source-asana:0.1.0 .
#
# Both bases are arguments, so that acceptance-tests/image.sh can build this very file where there is neither a
# Docker engine nor a registry.
ARG BUILDER_IMAGE=rust:1.95-slim-bookworm
ARG RUNTIME_IMAGE=debian:bookworm-slim

# The manifests, and an empty program in place of each target's root file. Whatever else changes in the sources,
# this stage's result stays the same, and with it the layer of compiled dependencies below.
FROM ${BUILDER_IMAGE} AS manifests
WORKDIR /manifests
COPY . .
RUN find . -type f -not -name 'Cargo.*' -not -path './.cargo/*' \
        -not -path '*/src/main.rs' -not -path '*/src/lib.rs' -not -path '*/src/bin/*' -not -path '*/benches/*' -delete \
 && find . -name '*.rs' | while read -r file; do echo 'fn main() {}' > "$file"; done \
 && find . -path '*/src/lib.rs' -exec truncate --size 0 {} + \
 && find . -type d -empty -delete

FROM ${BUILDER_IMAGE} AS build
WORKDIR /build
COPY --from=manifests /manifests .
RUN cargo build --release --locked --bin source-asana
COPY . .
# Copied files keep their times, which are before those of the empty programs that cargo has just compiled.
RUN find . -name '*.rs' -not -path './target/*' -exec touch {} + \
 && cargo build --release --locked --bin source-asana

FROM ${RUNTIME_IMAGE} AS certificates
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates

FROM ${RUNTIME_IMAGE}
# Airbyte runs a connector as this user, whatever USER says.
RUN groupadd --gid 1000 airbyte \
 && useradd --uid 1000 --gid airbyte --no-log-init --home-dir /airbyte --create-home --skel /nonexistent \
        --shell /usr/sbin/nologin airbyte
COPY --from=certificates /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /build/target/release/source-asana /usr/local/bin/source-asana

# The platform's start script evaluates this in `sh`, so it is the entrypoint word for word.
ENV AIRBYTE_ENTRYPOINT=/usr/local/bin/source-asana
LABEL io.airbyte.name=source-asana
LABEL io.airbyte.version=0.1.0
USER 1000:1000
ENTRYPOINT ["/usr/local/bin/source-asana"]
