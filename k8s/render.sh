#!/bin/sh
# Print the manifests of an overlay, as `kubectl apply` takes them:
#
#     k8s/render.sh OVERLAY [IMAGE]        IMAGE is NAME@sha256:… or NAME:TAG; without it, the overlay's own image is used
#
# Exit code 0: printed; 1: the overlay does not render, or does not use the image; 2: wrong arguments.
set -eu

fail() {
    echo "render.sh: $2" >&2
    exit "$1"
}

[ $# -eq 1 ] || [ $# -eq 2 ] || fail 2 "give OVERLAY and, if wanted, NAME@sha256:DIGEST or NAME:TAG"
overlays=$(cd "$(dirname -- "$0")/overlays" && pwd -P)
kustomization=$overlays/$1/kustomization.yaml
[ -f "$kustomization" ] || fail 2 "there is no overlay $1"

work=$(cd "$(mktemp -d)" && pwd -P)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# Kustomize accepts relative paths only, so the path to the overlay goes up to the root first.
up=$(echo "$work" | sed 's/[^/][^/]*/../g')
printf 'resources: ["%s"]\n' "${up#/}$overlays/$1" > "$work/kustomization.yaml"
if [ $# -eq 2 ]; then
    case ${2##*/} in
        *@sha256:*) repository=${2%@*} version="digest: ${2#*@}" ;;
        *:?*) repository=${2%:*} version="newTag: \"${2##*:}\"" ;;
        *) fail 2 "$2 has neither a digest nor a tag" ;;
    esac
    # The overlay may have renamed the image of the base.
    name=$(sed -n 's/^    newName: //p' "$kustomization")
    printf 'images:\n  - name: %s\n    newName: %s\n    %s\n' "${name:-smp}" "$repository" "$version" \
        >> "$work/kustomization.yaml"
fi
kubectl kustomize "$work" > "$work/all.yaml"
[ $# -eq 1 ] || grep -qF "image: $2" "$work/all.yaml" || fail 1 "the overlay $1 does not use the image $2"
cat "$work/all.yaml"
