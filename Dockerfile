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
        -not -path '*/src/main.rs' -not -path '*/src/lib.rs' -not -path '*/src/bin/*' -not -path '*/benches/*' \
        -not -path './fuzz/targets/*' -delete \
 && find . -name '*.rs' | while read -r file; do echo 'fn main() {}' > "$file"; done \
 && find . -path '*/src/lib.rs' -exec truncate --size 0 {} + \
 && find . -type d -empty -delete

FROM ${BUILDER_IMAGE} AS build
# It writes the list of dependencies into the program, where vulnerability scanners find it.
RUN cargo install --quiet --locked --root /tools cargo-auditable@0.7.7
ENV PATH=/tools/bin:$PATH
WORKDIR /build
COPY --from=manifests /manifests .
RUN cargo auditable build --release --locked --bin source-asana
COPY . .
# Copied files keep their times, which are before those of the empty programs that cargo has just compiled.
RUN find . -name '*.rs' -not -path './target/*' -exec touch {} + \
 && cargo auditable build --release --locked --bin source-asana

# Everything that the image holds, below /image: the program with the libraries that it names, a shell and the few
# programs that orchestrators call (all of them busybox), certificates, and the user. There is no package manager.
FROM ${RUNTIME_IMAGE} AS parts
RUN apt-get update && apt-get install --yes --no-install-recommends busybox-static ca-certificates
WORKDIR /image
COPY --from=build /build/target/release/source-asana usr/local/bin/source-asana
RUN mkdir -p airbyte bin dev etc/ssl/certs proc sys tmp \
 && ldd usr/local/bin/source-asana | grep -o '/[^ ]*' | while read -r library; do \
        mkdir -p ".${library%/*}" && cp -L "$library" ".$library" || exit 1; \
    done \
 && cp /bin/busybox bin/busybox \
 && for name in $(bin/busybox --list); do \
        case $name in busybox | dpkg* | rpm*) ;; *) ln -s busybox "bin/$name" ;; esac; \
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
# The platform's start script evaluates this in `sh`, so it is the entrypoint word for word.
ENV AIRBYTE_ENTRYPOINT=/usr/local/bin/source-asana
LABEL io.airbyte.name=source-asana
LABEL io.airbyte.version=0.1.0
LABEL org.opencontainers.image.title=source-asana
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
ENTRYPOINT ["/usr/local/bin/source-asana"]
