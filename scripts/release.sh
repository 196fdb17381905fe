#!/bin/sh
# The steps of a release. `make` calls them; docs/releasing.md describes them.
#
#     scripts/release.sh check TAG                          check that TAG is v and this version, with a dated changelog entry
#     scripts/release.sh notes                              print the changelog entry of this version
#     scripts/release.sh promote IMAGE REPOSITORY COMMIT    tag the image that was built from COMMIT with this version
#     scripts/release.sh publish REPOSITORY TAG             create the release of TAG with every file in dist/
#
# IMAGE is the registry's host and the path, without a tag. REPOSITORY is owner/name. `promote` prints IMAGE@sha256:…
# Exit code 0: done; anything else: stopped, and the last line says why.
set -eu
cd "$(dirname -- "$0")/.."

fail() {
    echo "release.sh: $*" >&2
    exit 1
}

read_version() {
    version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' src/smp/__init__.py)
    echo "$version" | grep -qxE '[0-9]+\.[0-9]+\.[0-9]+((a|b|rc)[0-9]+)?' ||
        fail "src/smp/__init__.py has no version of the form 1.2.3 or 1.2.3rc1: '$version'"
}

notes() {
    text=$(awk -v heading="## $version (" '/^## / { found = index($0, heading) == 1; next } found' CHANGELOG.md)
    [ -n "$text" ] || fail "CHANGELOG.md has no entry for $version"
    echo "$text" | sed '/./,$!d'
}

check() {
    [ "$1" = "v$version" ] || fail "the tag is $1, but the source is $version: tag v$version, or change the source"
    notes >/dev/null
    grep -qxE "## $(echo "$version" | sed 's/\./\\./g') \([0-9]{4}-[0-9]{2}-[0-9]{2}\)" CHANGELOG.md ||
        fail "CHANGELOG.md does not say when $version is released: write ## $version (YYYY-MM-DD)"
}

digest_of() {
    digest=$(docker buildx imagetools inspect "$1" --format '{{.Manifest.Digest}}') || fail "the registry has no $1"
    echo "$digest" | grep -qxE 'sha256:[0-9a-f]{64}' || fail "the registry returned no digest for $1: '$digest'"
    echo "$digest"
}

# The released image is the one that ran in staging. It is verified first: our `main` workflow must have signed it, on a
# runner of the code host, for this commit of the main branch.
promote() {
    built=$(digest_of "$1:$3")
    gh attestation verify "oci://$1@$built" --repo "$2" --signer-workflow "$2/.github/workflows/main.yml" \
        --source-ref refs/heads/main --source-digest "$3" --deny-self-hosted-runners >&2 ||
        fail "$1@$built was not built from $3 by the main workflow of $2"
    docker buildx imagetools create --tag "$1:$version" "$1@$built" >&2
    tagged=$(digest_of "$1:$version")
    [ "$tagged" = "$built" ] || fail "$1:$version is $tagged in the registry, not $built"
    echo "$1@$built"
}

publish() {
    check "$2"
    for kind in whl tar.gz yaml; do
        [ -n "$(find dist -name "*.$kind" 2>/dev/null)" ] || fail "dist has no .$kind file"
    done
    case $version in *[!0-9.]*) prerelease=--prerelease ;; *) prerelease= ;; esac
    gh release create "$2" dist/* --repo "$1" --verify-tag --title "$2" --notes "$(notes)" $prerelease
}

read_version
case "${1:-} $#" in
    "check 2" | "notes 1" | "promote 4" | "publish 3") "$@" ;;
    *) fail "usage: release.sh check TAG | notes | promote IMAGE REPOSITORY COMMIT | publish REPOSITORY TAG" ;;
esac
