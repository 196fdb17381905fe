#!/bin/sh
# Roll out a version to a cluster without a failed request:
#
#     k8s/rollout.sh OVERLAY [IMAGE]        IMAGE is NAME@sha256:… or NAME:TAG; without it, the overlay's own image is used
#
# 1. Apply everything that serves no requests (namespace, settings, policies, database) and wait for the migration. The
#    running pods work on the newer schema. If the migration fails, nothing else changes.
# 2. Apply the Deployment and what belongs to it. It replaces its pods one by one, each when its successor is ready. Wait
#    for the end. If it fails, the expiry job stays at the previous version.
# 3. Apply the expiry job.
#
# To go back, roll out the previous image in the same way: the schema stays, and the previous version works on it.
# Exit code 0: rolled out; 1: failed, and the last line says why; 2: wrong arguments.
set -eu

fail() {
    echo "rollout.sh: $*" >&2
    exit 1
}

in_namespace() {
    kubectl --namespace "$namespace" "$@"
}

here=$(dirname -- "$0")
manifests=$(mktemp)
trap 'rm -f "$manifests"' EXIT
trap 'exit 1' HUP INT TERM

"$here/render.sh" "$@" > "$manifests"
namespace=$(sed -n 's/^namespace: //p' "$here/overlays/$1/kustomization.yaml")
# The expiry job has the image of the last rollout that succeeded. There is none the first time.
previous=$(in_namespace get cronjob smp-expire --ignore-not-found \
    --output 'jsonpath={.spec.jobTemplate.spec.template.spec.containers[0].image}')

# The pod of a Job cannot be changed, so the previous Job is deleted first.
in_namespace delete job smp-migrate --ignore-not-found
kubectl apply --filename "$manifests" --selector 'app.kubernetes.io/component notin (api, sweep)'

# The Job stops by itself (activeDeadlineSeconds). If it disappears, `get` fails and ends this loop.
until in_namespace wait job/smp-migrate --for=condition=complete --timeout=5s > /dev/null 2>&1; do
    failed=$(in_namespace get job smp-migrate \
        --output 'jsonpath={.status.conditions[?(@.type=="Failed")].message}')
    if [ -n "$failed" ]; then
        in_namespace logs job/smp-migrate --tail=20 >&2 || true
        fail "the migration failed, so nothing was rolled out: $failed"
    fi
done
in_namespace logs job/smp-migrate --tail=1 || true

kubectl apply --filename "$manifests" --selector 'app.kubernetes.io/component notin (sweep)'
# This ends by itself when there is no progress for the Deployment's progressDeadlineSeconds.
in_namespace rollout status deployment/smp ||
    fail "the new pods do not get ready${previous:+; the previous ones still serve. To go back: $0 $1 $previous}"

kubectl apply --filename "$manifests"
