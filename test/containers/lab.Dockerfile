# The daemon's image with what its tests need beside it: etcd and HAProxy, and systemd for the unit.
ARG TENURE
FROM ${TENURE}
USER root
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends etcd-server etcd-client haproxy systemd procps iproute2 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb \
 && systemctl mask etcd haproxy postgresql
