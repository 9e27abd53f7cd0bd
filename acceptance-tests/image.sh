#!/usr/bin/env bash
# Builds the Dockerfile and runs what came out: with a Docker engine where one runs, and otherwise without engine and
# registry, on base images by debootstrap, by buildah as root. PROGRAM chooses the image: `source-asana` (if it is not
# set) or `destination-iceberg`.
#
#     acceptance-tests/image.sh build      build it; exit code 75, with the reason on stdout, where that cannot be
#     acceptance-tests/image.sh inspect    how the image is set up, as JSON: user, environment, labels, entrypoint, layers,
#                                          size in all
#     acceptance-tests/image.sh run ...    what follows `docker run`, on a read-only root: [-e NAME=VALUE] [-v FROM:TO]
#                                          [-u UID] [--entrypoint PROGRAM] IMAGE ARGUMENT...
#     acceptance-tests/image.sh ready      exit code 0 if the image of this version has been built
#
# Without an engine it needs root, `apt-get install buildah debootstrap`, and a Rust toolchain. Everything is kept under
# target/image, so that a second run reuses the bases and the compiled dependencies. The cargo profile is `quick`.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
work=${IMAGE_DIRECTORY:-${CARGO_TARGET_DIR:-$root/target}/image}
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
suite=bookworm
program=${PROGRAM:-source-asana}
version=$(sed -n 's/^LABEL io.airbyte.version=//p' "$root/Dockerfile")
image=$program:$version
arguments=(--build-arg PROGRAM="$program" --build-arg PROFILE=quick --tag "$image")
runtime_base=localhost/debian:$suite
builder_base=localhost/rust:$suite
docker=${REAL_DOCKER:-docker}
# What the bases and the layers take while they are made, toolchain and compiled dependencies among them.
gigabytes=12
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
        || cannot "debootstrap could not make a base from $mirror: $(tail -1 "$work/debootstrap.log")"
    rm -rf "$1"/var/cache/apt/*.bin "$1"/var/cache/apt/archives/*.deb "$1"/var/lib/apt/lists/*
    # The slim images of Debian leave these out too.
    rm -rf "$1"/usr/share/doc/* "$1"/usr/share/man/* "$1"/usr/share/locale/*
}

# Makes an image of a directory, which is gone afterwards: the file system is there once.
import() { # directory, image name, PATH, further variables
    local container
    container=$(buildah from scratch)
    buildah copy --quiet "$container" "$1" / >/dev/null
    rm -rf "$1"
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
    local toolchain=$work/builder-base/usr/local/rust target
    target=$(rustc -vV | sed -n 's/^host: //p')
    mkdir -p "$toolchain"/{bin,lib/rustlib}
    cp -a "$sysroot"/bin/{cargo,rustc} "$toolchain/bin/"
    cp -a "$sysroot"/lib/*.so* "$toolchain/lib/"
    cp -a "$sysroot/lib/rustlib/$target" "$toolchain/lib/rustlib/"
    # The build trusts the certificate authorities that this machine trusts; they do not reach the image.
    cp -L /etc/ssl/certs/ca-certificates.crt "$work/builder-base/etc/ssl/certs/ca-certificates.crt"
    import "$work/builder-base" "$builder_base" "/usr/local/rust/bin:$system_path" CARGO_HOME=/cargo
}

has_engine() { "$docker" info >/dev/null 2>&1; }

cannot() {
    echo "$*"
    exit 75
}

build() {
    if has_engine; then
        local base
        for base in $(sed -n 's/^ARG [A-Z]*_IMAGE=//p' "$root/Dockerfile"); do
            "$docker" image inspect "$base" >/dev/null 2>&1 || "$docker" pull --quiet "$base" >/dev/null \
                || cannot "the Docker engine has no $base and cannot pull it"
        done
        "$docker" build "${arguments[@]}" "$root" >"$work/build.log" 2>&1 || failed
        return
    fi
    [ "$(id -u)" = 0 ] || cannot "no Docker engine runs here, and buildah needs root"
    for needed in buildah debootstrap rustc; do
        type -P "$needed" >/dev/null || cannot "no Docker engine runs here, and $needed is not installed"
    done
    unshare --mount --pid --fork true 2>/dev/null || cannot "no Docker engine runs here, and root may not make namespaces"
    local free=$(($(df --output=avail --block-size=1M "$work" | tail -1) / 1000))
    have_image "$builder_base" || [ "$free" -ge $gigabytes ] || cannot "the image takes up to $gigabytes GB in $work, and $free GB are free"
    make_runtime_base
    make_builder_base
    say "image: building $program with $(command buildah --version)"
    # The Dockerfile's cache mounts are in TMPDIR.
    mkdir -p "$work/temporary"
    TMPDIR=$work/temporary buildah bud --layers --pull-never "${arguments[@]}" \
        --build-arg BUILDER_IMAGE="$builder_base" --build-arg RUNTIME_IMAGE="$runtime_base" \
        "$root" >"$work/build.log" 2>&1 || failed
    # A container of the image, whose file system is looked at.
    buildah rm "$program-running" >/dev/null 2>&1 || true
    buildah from --name "$program-running" "localhost/$image" >/dev/null
    buildah mount "$program-running" >"$work/$program-running"
}

failed() {
    tail -40 "$work/build.log" >&2
    say "image: FAILED to build; the whole log is $work/build.log"
    exit 1
}

ready() {
    if has_engine; then "$docker" image inspect "$image" >/dev/null 2>&1; else [ -d "$(cat "$work/$program-running" 2>/dev/null)" ]; fi
}

inspect() {
    if has_engine; then
        "$docker" image inspect "$image" | python3 -c '
import json, sys
[image] = json.load(sys.stdin)
config = image["Config"]
print(json.dumps({"user": config["User"], "environment": config["Env"], "labels": config["Labels"],
                  "entrypoint": config["Entrypoint"], "layers": len(image["RootFS"]["Layers"]), "bytes": image["Size"]}))'
        return
    fi
    local bytes
    bytes=$(du --summarize --bytes "$(cat "$work/$program-running")" | cut -f 1)
    buildah inspect --type image "localhost/$image" | python3 -c '
import json, sys
image = json.load(sys.stdin)["OCIv1"]
config = image["config"]
print(json.dumps({"user": config["User"], "environment": config["Env"], "labels": config["Labels"],
                  "entrypoint": config["Entrypoint"], "layers": len(image["rootfs"]["diff_ids"]), "bytes": int(sys.argv[1])}))' "$bytes"
}

run() {
    local environment=() volumes=() started= user=1000
    while [ $# -gt 0 ]; do
        case $1 in
        --rm | -i | --init) shift ;;
        -u | --user) user=$2; shift 2 ;;
        --entrypoint) started=$2; shift 2 ;;
        -e) environment+=("$2"); shift 2 ;;
        -v | --volume) volumes+=("$2"); shift 2 ;;
        *) break ;;
        esac
    done
    local name=$1
    shift
    program=${name%:*} image=$name
    [ "$name" = "$program:$version" ] && ready || { say "there is no image called $name"; exit 125; }
    # The simulated account is on this machine's loopback.
    environment+=("ASANA_BASE_URL=${ASANA_BASE_URL:-}")
    if has_engine; then
        local temporary=(--tmpfs /tmp)
        case "${volumes[*]}" in *:/tmp*) temporary=() ;; esac
        exec "$docker" run --rm -i --network host --read-only "${temporary[@]}" --cap-drop ALL \
            --security-opt no-new-privileges --user "$user" "${environment[@]/#/--env=}" "${volumes[@]/#/--volume=}" \
            ${started:+--entrypoint="$started"} "$image" "$@"
    fi
    export IMAGE_ROOT IMAGE_PLACE
    IMAGE_ROOT=$(cat "$work/$program-running")
    IMAGE_PLACE=$(mktemp -d)
    trap 'rmdir "$IMAGE_PLACE"' EXIT
    # Only what the image itself sets is in the environment, and what the caller gives.
    local settings
    mapfile -t settings < <(inspect | python3 -c '
import json, sys
told = json.load(sys.stdin)
print("\n".join(told["environment"]), "--", *told["entrypoint"], sep="\n")')
    local variables=() entrypoint=() part=variables line
    for line in "${settings[@]}"; do
        if [ "$line" = -- ]; then part=entrypoint; elif [ $part = variables ]; then variables+=("$line"); else entrypoint+=("$line"); fi
    done
    [ -z "$started" ] || entrypoint=("$started")
    # In namespaces of its own, so that the connector is the first process, as in any container.
    IMAGE_VOLUMES=$(printf '%s\n' "${volumes[@]}") unshare --mount --pid --fork --kill-child bash -c '
        set -euo pipefail
        mount -t tmpfs tmpfs "$IMAGE_PLACE"
        mkdir "$IMAGE_PLACE"/{changes,work,root}
        inside=$IMAGE_PLACE/root
        mount -t overlay overlay -o "lowerdir=$IMAGE_ROOT,upperdir=$IMAGE_PLACE/changes,workdir=$IMAGE_PLACE/work" "$inside"
        mount --bind /dev "$inside/dev"
        mount -t proc proc "$inside/proc"
        while IFS=: read -r from to _; do
            [ -n "$from" ] || continue
            mkdir -p "$inside$(dirname "$to")"
            if [ -d "$from" ]; then mkdir -p "$inside$to"; else touch "$inside$to"; fi
            mount --bind "$from" "$inside$to"
        done <<<"$IMAGE_VOLUMES"
        cp -L /etc/resolv.conf "$inside/etc/resolv.conf" 2>/dev/null || true
        mount -o remount,ro "$inside"
        case $IMAGE_VOLUMES in *:/tmp*) ;; *) mount -t tmpfs tmpfs "$inside/tmp" ;; esac
        exec env -i "$@"
    ' run "${variables[@]}" "${environment[@]}" "$(type -P setpriv)" --no-new-privs \
        "$(type -P chroot)" --userspec="${user%%:*}:${user##*:}" --groups= "$IMAGE_PLACE/root" "${entrypoint[@]}" "$@"
}

verb=${1:-build}
[ $# -eq 0 ] || shift
case $verb in
build | inspect | ready) "$verb" ;;
run) run "$@" ;;
*) say "no verb is called $verb"; exit 2 ;;
esac
