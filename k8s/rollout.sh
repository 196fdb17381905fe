#!/bin/sh
# Brings a version to a cluster, in the order in which no request fails:
#
#     k8s/rollout.sh OVERLAY [IMAGE]        IMAGE as NAME@sha256:… or NAME:TAG; without it, the one of the overlay
#
# 1. Everything that does not serve: namespace, settings, policies, database; and the migration, which is waited for. The
#    pods that run work on the newer schema. Where the migration fails, nothing else is touched.
# 2. The rest. The Deployment replaces its pods one by one, each when its successor is ready; the end of that is waited for.
#
# Back: kubectl rollout undo deployment/smp. The schema stays as it is, the version before works on it.
# Exit code 0: rolled out; 1: it failed, and says what; 2: asked for wrongly.
set -eu

fail() {
    echo "rollout.sh: $2" >&2
    exit "$1"
}

[ $# -eq 1 ] || [ $# -eq 2 ] || fail 2 "usage: rollout.sh OVERLAY [NAME@sha256:DIGEST | NAME:TAG]"
overlays=$(cd "$(dirname -- "$0")/overlays" && pwd)
kustomization=$overlays/$1/kustomization.yaml
[ -f "$kustomization" ] || fail 2 "there is no overlay $1"
namespace=$(sed -n 's/^namespace: //p' "$kustomization")

in_namespace() {
    kubectl --namespace "$namespace" "$@"
}

work=$(mktemp -d "$overlays/.rollout.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# The overlay under another one, which says the image; the name to replace is the one that the overlay gave it.
printf 'resources: [../%s]\n' "$1" > "$work/kustomization.yaml"
if [ $# -eq 2 ]; then
    name=$(sed -n 's/^    newName: //p' "$kustomization")
    case ${2##*/} in
        *@sha256:*) repository=${2%@*} version="digest: ${2#*@}" ;;
        *:?*) repository=${2%:*} version="newTag: \"${2##*:}\"" ;;
        *) fail 2 "$2 has neither a digest nor a tag" ;;
    esac
    printf 'images:\n  - name: %s\n    newName: %s\n    %s\n' "${name:-smp}" "$repository" "$version" \
        >> "$work/kustomization.yaml"
fi
kubectl kustomize "$work" > "$work/all.yaml"

in_namespace delete job smp-migrate --ignore-not-found
kubectl apply --filename "$work/all.yaml" --selector 'app.kubernetes.io/component notin (api, sweep)'

# The Job gives up by itself (activeDeadlineSeconds), and one that is gone ends this, too.
until in_namespace wait job/smp-migrate --for=condition=complete --timeout=5s > /dev/null 2>&1; do
    failed=$(in_namespace get job smp-migrate \
        --output 'jsonpath={.status.conditions[?(@.type=="Failed")].message}')
    if [ -n "$failed" ]; then
        in_namespace logs job/smp-migrate --tail=20 >&2 || true
        fail 1 "the migration failed, so nothing was rolled out: $failed"
    fi
done
in_namespace logs job/smp-migrate --tail=1 || true

kubectl apply --filename "$work/all.yaml"
# Ends by itself where there is no progress for the Deployment's progressDeadlineSeconds.
in_namespace rollout status deployment/smp || fail 1 "the pods of this version do not get ready, those of the one before\
 serve on; back: kubectl --namespace $namespace rollout undo deployment/smp"
