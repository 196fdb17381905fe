# The image of the service. It contains the locked requirements, installed by their hashes, and the program, installed
# from a wheel that is built here. It contains no build tool, no installer and no database. `make image` builds and tests
# it.
#
#   docker build --build-arg REVISION=… --build-arg SOURCE=… --tag smp .
#   docker run --read-only --cap-drop ALL --env SMP_DATABASE_URL=postgresql://… smp migrate
#
# The name of the base is complete and appears once, because Dependabot does not read variables.
FROM python:3.13.16-slim-trixie@sha256:bf44cdfcb76cd3b41e879bc058fc37ec5872002ccfde7fcb765e218cde0cd79c AS base


# The requirements, which change rarely, are one layer. Only wheels are installed, so that nothing is compiled and no
# package runs code. Two packages are removed: they only invent examples for API documents, which SMP does not use, and
# need 26 MB.
FROM base AS requirements
ENV PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1 PIP_QUIET=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
RUN python -m venv --without-pip /opt/smp
COPY requirements.txt ./
RUN python -m pip --python /opt/smp/bin/python install --only-binary :all: --no-deps --require-hashes \
        --requirement requirements.txt \
    && python -m pip --python /opt/smp/bin/python uninstall --yes faker polyfactory \
    && /opt/smp/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/smp/lib


# The program, which changes often, is another layer. So it is installed into another folder first.
FROM requirements AS program
RUN python -m venv /build/tools
COPY requirements-build.txt ./
RUN tools/bin/pip install --only-binary :all: --no-deps --require-hashes --requirement requirements-build.txt
COPY pyproject.toml README.md LICENSE ./
COPY migrations migrations
COPY src src
RUN tools/bin/pip wheel --no-index --no-deps --no-build-isolation --wheel-dir dist . \
    && python -m pip --python /opt/smp/bin/python install --no-index --no-deps --prefix /program dist/*.whl \
    && /opt/smp/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash \
        -s /program -p /opt/smp /program/lib


FROM base
# Remove pip, and ensurepip, which could install it again. Remove the setuid and setgid bits of all programs. Compile the
# standard library: the base has no compiled modules, and on a read-only file system they would be compiled at each start.
RUN python -m pip uninstall --yes --quiet --root-user-action ignore pip \
    && library=$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))') \
    && rm -rf "$library/ensurepip" \
    && python -m compileall -q -j 0 --invalidation-mode unchecked-hash \
        -x '/(site-packages|dist-packages|test|idlelib|tkinter|turtledemo|lib2to3)/' "$library" \
    && find / -xdev -type f -perm /6000 -exec chmod a-s {} + \
    && groupadd --gid 10001 smp \
    && useradd --uid 10001 --gid smp --no-log-init --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin smp
COPY --from=requirements /opt/smp /opt/smp
COPY --from=program /program /opt/smp

ENV PATH=/opt/smp/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    SMP_ENV=production \
    SMP_HOST=0.0.0.0
# A number, because Kubernetes (runAsNonRoot) cannot check that a name is not root.
USER 10001:10001
WORKDIR /opt/smp
# The API, and the metrics if SMP_METRICS_PORT=9000 is set.
EXPOSE 8000 9000
STOPSIGNAL SIGTERM
# /health/live and not /health/ready: restarting the container does not bring the database back.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-I", "-c", "import http.client as h, os, sys; c = h.HTTPConnection('127.0.0.1', int(os.environ.get('SMP_PORT', '8000')), timeout=2); c.request('GET', '/health/live'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["smp"]
CMD ["serve"]

# A test compares it with src/smp/__init__.py.
ARG VERSION=0.2.0
ARG REVISION
ARG SOURCE
LABEL org.opencontainers.image.title="smp" \
      org.opencontainers.image.description="Subscription Management Platform" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.source="$SOURCE"
