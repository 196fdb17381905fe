#!/bin/sh
# Build the image, then test it as production runs it. `make image` calls this after it has set up .venv.
#
# Docker is used if its daemon answers. Otherwise podman builds and runs the image, without a daemon and with a store of
# its own. It downloads no image: it replaces the base of the Dockerfile by one made of packages of the same Debian
# release, with the same Python and the same layout. Both engines use the same Dockerfile.
#
# The image smp:VERSION stays, and so does podman's store under ${XDG_CACHE_HOME:-~/.cache}/smp, which makes the next
# build fast and can be removed at any time. Packages are installed only on a build machine (CI=true, root, apt-get).
#
# REVISION and SOURCE, if they are set, become the labels of these names.
#
# Exit code 0: built and tested; 3: this machine cannot build an image, and the last line says why (0 if
# UNLESS_IMPOSSIBLE=1); anything else: the image is wrong.
set -eu
cd "$(dirname "$0")/.."

PACKAGES="podman runc mmdebstrap"
LOCAL_REGISTRY=localhost
STALE_AFTER=168h

say() { echo "image: $*" >&2; }

fail() {
    say "$@"
    exit 1
}

impossible() {
    say "$@"
    [ "${UNLESS_IMPOSSIBLE:-}" != 1 ] || say "not built on this machine"
    exit 3
}

# Try three times, with pauses, for package archives that fail now and then.
with_retries() {
    for pause in 5 20 0; do
        if "$@"; then return 0; fi
        [ "$pause" -eq 0 ] || { say "trying again in $pause s: $1"; sleep "$pause"; }
    done
    return 1
}

install_packages() {
    apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
            -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3 $PACKAGES >/dev/null
}

choose_engine() {
    if docker version >/dev/null 2>&1; then
        echo docker
        return
    fi
    missing=
    for program in podman mmdebstrap flock; do
        command -v "$program" >/dev/null 2>&1 || missing="$missing $program"
    done
    if [ -n "$missing" ] && [ "${CI:-}" = true ] && [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
        say "no Docker daemon answers; installing $PACKAGES"
        with_retries install_packages >&2 || impossible "apt-get could not install $PACKAGES"
        missing=
    fi
    [ -z "$missing" ] || impossible "no Docker daemon answers, and these programs are missing:$missing." \
        "Start Docker, or on Debian and Ubuntu: apt install $PACKAGES"
    echo podman
}

# podman reads only these two files, so that it does not use the images and the settings of the machine.
set_up_podman() {
    if [ "$(id -u)" -eq 0 ]; then run=/run/smp-image; else run=${XDG_RUNTIME_DIR:-$cache}/smp-image; fi
    mkdir -p "$cache"
    export CONTAINERS_STORAGE_CONF="$cache/storage.conf" CONTAINERS_CONF="$cache/containers.conf"
    printf '%s\n' '[storage]' 'driver = "overlay"' "graphroot = \"$cache/containers\"" "runroot = \"$run\"" \
        >"$CONTAINERS_STORAGE_CONF.$$"
    # Limits that need no privilege; no systemd, no journal.
    printf '%s\n' '[containers]' 'default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]' 'log_driver = "k8s-file"' \
        '[engine]' 'cgroup_manager = "cgroupfs"' 'events_logger = "none"' >"$CONTAINERS_CONF.$$"
    if command -v runc >/dev/null 2>&1; then echo 'runtime = "runc"' >>"$CONTAINERS_CONF.$$"; fi
    mv "$CONTAINERS_STORAGE_CONF.$$" "$CONTAINERS_STORAGE_CONF"
    mv "$CONTAINERS_CONF.$$" "$CONTAINERS_CONF"
}

# Debian's Python, with a virtual environment in /usr/local, where the real base has its Python. The certificate
# authorities of this machine are copied, because downloads behind some companies' proxies need them.
make_stand_in() {
    mmdebstrap --quiet --variant=minbase --include=ca-certificates,python3,python3-venv \
        --aptopt='Acquire::Retries "3"' --aptopt='Acquire::Languages "none"' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        --customize-hook='upload /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt' \
        --customize-hook='chroot "$1" python3 -m venv /usr/local' \
        "$suite" "$work/base.tar" &&
        podman import --quiet --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
            "$work/base.tar" "$stand_in" >/dev/null
}

build_with_podman() {
    # python:3.13.16-slim-trixie@sha256:… is Debian trixie with Python 3.13.
    tag=${base#*:}
    tag=${tag%%@*}
    suite=${tag##*-}
    series=$(echo "$tag" | cut -d . -f 1,2)
    # This file says how the stand-in is made, so its checksum is part of the name.
    stand_in=$LOCAL_REGISTRY/smp-base:$tag-$(cksum <"$PWD/scripts/image.sh" | cut -d ' ' -f 1)

    # One build at a time; each removes what has not been used for a week.
    exec 9>"$cache/lock"
    flock 9
    if ! podman image exists "$stand_in"; then
        say "making a stand-in for $tag from Debian packages"
        with_retries make_stand_in || impossible "mmdebstrap could not make a Debian $suite with Python"
    fi
    found=$(podman run --rm --network none "$stand_in" python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    [ "$found" = "$series" ] || fail "Debian $suite has Python $found, but the Dockerfile needs $series: build with Docker"

    podman build --isolation chroot --format docker --pull=never --build-context "$base=container-image://$stand_in" \
        --iidfile "$work/id" --tag "$LOCAL_REGISTRY/smp:$version" "$@" .

    podman container prune --force --filter "until=$STALE_AFTER" >/dev/null
    podman image prune --force --filter "until=$STALE_AFTER" >/dev/null
    for other in $(podman images --noheading --filter "reference=$LOCAL_REGISTRY/smp-base" \
        --format '{{.Repository}}:{{.Tag}}'); do
        [ "$other" = "$stand_in" ] || podman rmi "$other" >/dev/null 2>&1 || true
    done
    exec 9>&-
}

base=$(sed -n 's/^FROM \(python:[^ ]*\) AS base$/\1/p' Dockerfile)
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' src/smp/__init__.py)
revision=${REVISION:-$(git rev-parse HEAD 2>/dev/null || true)}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/smp
work=$(mktemp -d)
trap 'code=$?; rm -rf "$work"; [ "$code:${UNLESS_IMPOSSIBLE:-}" != 3:1 ] || exit 0' EXIT
trap 'exit 130' INT TERM

engine=$(choose_engine)
set -- --build-arg "REVISION=$revision" --build-arg "SOURCE=${SOURCE:-}"
case $engine in
    docker) DOCKER_BUILDKIT=1 docker build --iidfile "$work/id" --tag "smp:$version" "$@" . ;;
    podman)
        set_up_podman
        build_with_podman "$@"
        ;;
esac

IMAGE=$(cat "$work/id")
export IMAGE IMAGE_ENGINE="$engine" IMAGE_REVISION="$revision"
say "smp:$version is built; $("$engine" image inspect --format '{{.Size}}' "$IMAGE" | awk '{ printf "%.0f MB", $1 / 1e6 }')"
.venv/bin/python -m pytest -q -p no:cacheprovider tests/delivery/image_checks.py
