#!/bin/sh
# Build the image, and try what was built as production runs it. Called by `make image`, which has set up .venv before.
#
# Docker is used where its daemon answers. Elsewhere podman builds and runs, with no daemon, in a store of its own. It
# fetches no image: what stands in for the Dockerfile's base is made of packages of the same Debian release, with the
# same Python, laid out alike. The Dockerfile is the same for both.
#
# What stays: the image smp:VERSION, and the store with the stand-in under ${XDG_CACHE_HOME:-~/.cache}/smp, so that the
# next time is quick; it may be removed at any time. What is installed: nothing, but on a build machine (CI=true, root,
# apt-get) the packages that are missing.
#
# REVISION and SOURCE, where they are set, become the labels of these names.
#
# Exit code 0: built, and all of it is right; 3: this machine has not what it takes, and the last line says what, or 0 as
# well where UNLESS_IMPOSSIBLE=1; anything else: the image is wrong.
set -eu
cd "$(dirname "$0")/.."

PACKAGES="podman runc mmdebstrap"
REGISTRY_OF_OUR_OWN=localhost
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

# As of packages that come and go: three times, with pauses.
patiently() {
    for pause in 5 20 0; do
        if "$@"; then return 0; fi
        [ "$pause" -eq 0 ] || { say "once more in $pause s: $1"; sleep "$pause"; }
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
        patiently install_packages >&2 || impossible "apt-get could not install $PACKAGES"
        missing=
    fi
    [ -z "$missing" ] || impossible "no Docker daemon answers, and there is no$missing. Start Docker, or on Debian and Ubuntu:" \
        "apt install $PACKAGES"
    echo podman
}

# podman reads nothing but these two files: neither its images nor its settings are those of the machine.
set_up_podman() {
    if [ "$(id -u)" -eq 0 ]; then run=/run/smp-image; else run=${XDG_RUNTIME_DIR:-$cache}/smp-image; fi
    mkdir -p "$cache"
    export CONTAINERS_STORAGE_CONF="$cache/storage.conf" CONTAINERS_CONF="$cache/containers.conf"
    printf '%s\n' '[storage]' 'driver = "overlay"' "graphroot = \"$cache/containers\"" "runroot = \"$run\"" \
        >"$CONTAINERS_STORAGE_CONF.$$"
    # Limits that may be set without a privilege, no systemd, no journal.
    printf '%s\n' '[containers]' 'default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]' 'log_driver = "k8s-file"' \
        '[engine]' 'cgroup_manager = "cgroupfs"' 'events_logger = "none"' >"$CONTAINERS_CONF.$$"
    if command -v runc >/dev/null 2>&1; then echo 'runtime = "runc"' >>"$CONTAINERS_CONF.$$"; fi
    mv "$CONTAINERS_STORAGE_CONF.$$" "$CONTAINERS_STORAGE_CONF"
    mv "$CONTAINERS_CONF.$$" "$CONTAINERS_CONF"
}

# Debian's Python with an environment of it in /usr/local, where the real base has all of its Python; and this machine's
# certificate authorities, without which nothing is fetched behind some companies' proxies.
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
    # The recipe is this file.
    stand_in=$REGISTRY_OF_OUR_OWN/smp-base:$tag-$(cksum <"$PWD/scripts/image.sh" | cut -d ' ' -f 1)

    # One at a time builds, and clears away what nobody has used for long.
    exec 9>"$cache/lock"
    flock 9
    if ! podman image exists "$stand_in"; then
        say "making a stand-in for $tag of Debian's packages"
        patiently make_stand_in || impossible "mmdebstrap could not make a Debian $suite with Python"
    fi
    found=$(podman run --rm --network none "$stand_in" python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    [ "$found" = "$series" ] || fail "Debian $suite has Python $found, and the Dockerfile wants $series: build with Docker"

    podman build --isolation chroot --format docker --pull=never --build-context "$base=container-image://$stand_in" \
        --iidfile "$work/id" --tag "$REGISTRY_OF_OUR_OWN/smp:$version" "$@" .

    podman container prune --force --filter "until=$STALE_AFTER" >/dev/null
    podman image prune --force --filter "until=$STALE_AFTER" >/dev/null
    for other in $(podman images --noheading --filter "reference=$REGISTRY_OF_OUR_OWN/smp-base" \
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
