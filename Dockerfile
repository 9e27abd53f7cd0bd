# The image of the connector, or of the destination, for linux/amd64 and linux/arm64 alike:
#
#     docker build --tag source-asana:0.1.0 .
#     docker build --tag destination-iceberg:0.1.0 --build-arg PROGRAM=destination-iceberg .
#     docker buildx build --platform linux/amd64,linux/arm64 --tag source-asana:0.1.0 .
#
# Both bases are arguments, so that acceptance-tests/image.sh can build this very file where there is neither a
# Docker engine nor a registry.
ARG BUILDER_IMAGE=rust:1.95-slim-bookworm
ARG RUNTIME_IMAGE=debian:bookworm-slim

FROM ${BUILDER_IMAGE} AS build
# cargo-auditable writes the list of dependencies into the program, where vulnerability scanners find it. It runs once,
# so it is compiled without optimisation.
RUN CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off \
    cargo install --quiet --locked --root /tools cargo-auditable@0.7.7
ENV PATH=/tools/bin:$PATH
# The package that the image runs, and the cargo profile that compiles it: `release`, or `quick` for tests of the image.
ARG PROGRAM=source-asana
ARG PROFILE=release
WORKDIR /build
COPY . .
# Compiled dependencies stay in the cache, so the next build compiles only what changed. Copied files keep their times,
# which can be older than what the cache holds of another version, so all of our own code is compiled again.
RUN --mount=type=cache,target=/cache \
    find . -name '*.rs' -exec touch {} + \
 && export CARGO_TARGET_DIR="/cache/$(uname -m)" \
 && cargo auditable build --profile "$PROFILE" --locked --package "$PROGRAM" --bin "$PROGRAM" \
 && cp "$CARGO_TARGET_DIR/$PROFILE/$PROGRAM" /program

# Everything that the image holds, below /image: the program, a shell (dash), the few other programs that orchestrators
# call (all of them busybox), the libraries that these name, certificates, and the user. There is no package manager.
# Busybox is not the shell, because its shell finds every program that busybox can play, `dpkg` among them.
FROM ${RUNTIME_IMAGE} AS parts
ARG PROGRAM=source-asana
RUN apt-get update && apt-get install --yes --no-install-recommends busybox-static ca-certificates
WORKDIR /image
COPY --from=build /program usr/local/bin/connector
RUN mkdir -p airbyte bin dev etc/ssl/certs proc sys tmp \
 && cp /bin/dash bin/sh \
 && for program in usr/local/bin/connector bin/sh; do ldd "$program" || exit 1; done \
      | grep -o '/[^ ]*' | sort -u | while read -r library; do \
        mkdir -p ".${library%/*}" && cp -L "$library" ".$library" || exit 1; \
    done \
 && ln -s connector "usr/local/bin/$PROGRAM" \
 && cp /bin/busybox bin/busybox \
 && for name in $(bin/busybox --list); do \
        case $name in ash | busybox | dpkg* | rpm* | sh) ;; *) ln -s busybox "bin/$name" ;; esac; \
    done \
 && cp -L /etc/ssl/certs/ca-certificates.crt etc/ssl/certs/ca-certificates.crt \
 && printf 'root:x:0:0:root:/:/bin/sh\nairbyte:x:1000:1000::/airbyte:/bin/sh\n' >etc/passwd \
 && printf 'root:x:0:\nairbyte:x:1000:\n' >etc/group \
 && printf 'hosts: files dns\n' >etc/nsswitch.conf \
 && chown 1000:1000 airbyte \
 && chmod 1777 tmp

FROM scratch
COPY --from=parts /image /
ENV PATH=/usr/local/bin:/bin
# The platform's start script evaluates this in `sh`, so it is the entrypoint word for word. It has the same name in
# every image, because an entrypoint cannot name an argument.
ENV AIRBYTE_ENTRYPOINT=/usr/local/bin/connector
ARG PROGRAM=source-asana
LABEL io.airbyte.name=$PROGRAM
LABEL io.airbyte.version=0.1.0
LABEL org.opencontainers.image.title=$PROGRAM
LABEL org.opencontainers.image.version=0.1.0
LABEL org.opencontainers.image.licenses=MIT
ARG REVISION=
ARG CREATED=
ARG SOURCE=
LABEL org.opencontainers.image.revision=$REVISION
LABEL org.opencontainers.image.created=$CREATED
LABEL org.opencontainers.image.source=$SOURCE
# Airbyte runs a connector as this user, whatever USER says.
USER 1000:1000
ENTRYPOINT ["/usr/local/bin/connector"]
