#!/bin/sh
# Roll out the overlay `dev` on a real cluster: the first time, then another image, then back to the first one. After each
# rollout the service is asked, and every workload must have the image. `make kind` calls this.
#
# Docker, kind and kubectl are required. The cluster smp-rollout is created, and deleted at the end. Exit code 0: all of it
# worked; anything else: the last line says what did not.
set -eu
cd "$(dirname "$0")/.."

CLUSTER=smp-rollout
NAMESPACE=smp-dev
PORT=18080

work=$(mktemp -d)
forward=
finish() {
    code=$?
    stop_forwarding
    if [ "$code" -ne 0 ]; then
        in_namespace get pods,jobs,cronjobs >&2 || true
        in_namespace logs deployment/smp --tail=50 >&2 || true
    fi
    kind delete cluster --name "$CLUSTER" >&2 || true
    rm -rf "$work"
    exit "$code"
}

stop_forwarding() {
    [ -z "$forward" ] || kill "$forward" 2>/dev/null || true
    forward=
}

in_namespace() { kubectl --namespace "$NAMESPACE" "$@"; }

# The image of a Deployment, and of a CronJob.
image_of() {
    case $1 in
        deployment/*) path='{.spec.template.spec.containers[0].image}' ;;
        cronjob/*) path='{.spec.jobTemplate.spec.template.spec.containers[0].image}' ;;
    esac
    in_namespace get "$1" --output "jsonpath=$path"
}

roll_out() {
    echo "kind: rolling out $1" >&2
    k8s/rollout.sh dev "$1"
    for workload in deployment/smp cronjob/smp-expire; do
        found=$(image_of "$workload")
        [ "$found" = "$1" ] || { echo "kind: $workload has the image $found, not $1" >&2; exit 1; }
    done
    in_namespace port-forward service/smp "$PORT:80" >/dev/null &
    forward=$!
    python3 scripts/smoke.py "http://127.0.0.1:$PORT" "$version"
    stop_forwarding
}

version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' src/smp/__init__.py)
KUBECONFIG=$work/kubeconfig
export KUBECONFIG
trap finish EXIT
trap 'exit 130' INT TERM

docker build --quiet --tag "smp:$version" .
docker tag "smp:$version" "smp:$version-next"
kind create cluster --name "$CLUSTER" --wait 120s
kind load docker-image "smp:$version" "smp:$version-next" --name "$CLUSTER"

password=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
kubectl create namespace "$NAMESPACE"
in_namespace create secret generic smp-database --type=kubernetes.io/basic-auth --from-literal=username=smp \
    --from-literal=password="$password" --from-literal=uri="postgresql://smp:$password@postgres:5432/smp"

roll_out "smp:$version"
roll_out "smp:$version-next"
roll_out "smp:$version"
echo "kind: rolled out, forward and back" >&2
