#!/usr/bin/env bash
# Builds the Dockerfile where neither a Docker engine nor a registry is at hand, and runs what came out: base images
# by debootstrap, the build by buildah, the run by the kernel's namespaces.
#
#     acceptance-tests/image.sh            build, run, check, print the figures
#     acceptance-tests/image.sh build      build alone; prints nothing but progress
#     acceptance-tests/image.sh run ...    run the built image's entrypoint, see image-run.py
#
# Needs root, `apt-get install buildah debootstrap`, and a Rust toolchain. Everything is kept under target/image, so
# that a second run reuses the bases and the layer of dependencies.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
work=${IMAGE_DIRECTORY:-$root/target/image}
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
suite=bookworm
image=localhost/source-asana:$(sed -n 's/^LABEL io.airbyte.version=//p' "$root/Dockerfile")
runtime_base=localhost/debian:$suite
builder_base=localhost/rust:$suite
mkdir -p "$work"

export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=${STORAGE_DRIVER:-vfs}
buildah() { command buildah --root "$work/storage" --runroot "$work/run" "$@"; }

say() { printf '%s\n' "$*" >&2; }

have_image() { buildah inspect --type image "$1" >/dev/null 2>&1; }

# A root file system of Debian alone, without what apt leaves behind.
bootstrap() { # directory, further packages
    rm -rf "$1"
    mkdir -p "$work/packages"
    debootstrap --variant=minbase --cache-dir="$work/packages" ${2:+--include="$2"} "$suite" "$1" "$mirror" >"$work/debootstrap.log" 2>&1 \
        || { tail -20 "$work/debootstrap.log" >&2; return 1; }
    rm -rf "$1"/var/cache/apt/*.bin "$1"/var/cache/apt/archives/*.deb "$1"/var/lib/apt/lists/*
    # The slim images of Debian leave these out too.
    rm -rf "$1"/usr/share/doc/* "$1"/usr/share/man/* "$1"/usr/share/locale/*
}

import() { # directory, image name, PATH, further variables
    local container
    container=$(buildah from scratch)
    buildah copy --quiet "$container" "$1" / >/dev/null
    buildah config --env PATH="$3" ${4:+--env "$4"} --cmd sh "$container"
    buildah commit --quiet --rm "$container" "$2" >/dev/null
}

system_path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

make_runtime_base() {
    have_image "$runtime_base" && return
    say "image: Debian $suite by debootstrap, in place of debian:$suite-slim"
    bootstrap "$work/runtime-base"
    import "$work/runtime-base" "$runtime_base" "$system_path"
}

# The toolchain of this machine, in the place of the one in rust:1.95-slim-bookworm.
make_builder_base() {
    have_image "$builder_base" && return
    say "image: Debian $suite with $(rustc --version), in place of rust:1.95-slim-$suite"
    local sysroot
    sysroot=$(cd "$root" && rustc --print sysroot)
    bootstrap "$work/builder-base" ca-certificates,gcc,libc6-dev
    mkdir -p "$work/builder-base/usr/local/rust/lib/rustlib"
    cp -a "$sysroot/bin" "$work/builder-base/usr/local/rust/"
    cp -a "$sysroot"/lib/*.so "$work/builder-base/usr/local/rust/lib/"
    local target
    target=$(rustc -vV | sed -n 's/^host: //p')
    cp -a "$sysroot/lib/rustlib/$target" "$work/builder-base/usr/local/rust/lib/rustlib/"
    rm -rf "$work/builder-base/usr/local/rust/bin/"{rust-analyzer,cargo-clippy,clippy-driver,rustdoc,rust-gdb*,rust-lldb}
    # The build trusts the certificate authorities that this machine trusts; they do not reach the image.
    cp -L /etc/ssl/certs/ca-certificates.crt "$work/builder-base/etc/ssl/certs/ca-certificates.crt"
    import "$work/builder-base" "$builder_base" "/usr/local/rust/bin:$system_path" CARGO_HOME=/cargo
    rm -rf "$work/builder-base"
}

build() {
    make_runtime_base
    make_builder_base
    say "image: building the Dockerfile with $(command buildah --version)"
    # Crates that this machine has fetched are not fetched again.
    mkdir -p "${CARGO_HOME:-$HOME/.cargo}/registry"
    if ! buildah bud --layers --quiet --pull-never \
        --build-arg BUILDER_IMAGE="$builder_base" --build-arg RUNTIME_IMAGE="$runtime_base" \
        --volume "${CARGO_HOME:-$HOME/.cargo}/registry:/cargo/registry" \
        --tag "$image" "$root" >"$work/build.log" 2>&1; then
        tail -40 "$work/build.log" >&2
        say "image: FAILED to build; the whole log is $work/build.log"
        return 1
    fi
}

build
