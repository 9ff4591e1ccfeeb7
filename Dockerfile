# Three images from Debian's packages: tenure (the daemon with PostgreSQL 17), etcd, haproxy.
#   docker build --target tenure -t tenure .      docs/containers.md has the rest.
# Works with the legacy builder too: no RUN --mount, COPY --chmod or heredocs.
ARG DEBIAN=debian:trixie-slim
ARG NODE=node:24-trixie-slim

FROM ${DEBIAN} AS etcd
RUN groupadd --system --gid 998 etcd \
 && useradd --system --uid 998 --gid etcd --home-dir /var/lib/etcd --shell /usr/sbin/nologin etcd
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends etcd-server etcd-client tini \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb /var/log/*.log /var/log/apt \
 && install -d -o etcd -g etcd -m 0700 /var/lib/etcd
# Every setting of etcd is a variable ETCD_…. Without compaction its database grows until it refuses writes.
ENV ETCD_DATA_DIR=/var/lib/etcd/data ETCD_AUTO_COMPACTION_MODE=periodic ETCD_AUTO_COMPACTION_RETENTION=1h
VOLUME /var/lib/etcd
USER etcd
EXPOSE 2379 2380
HEALTHCHECK --interval=5s --timeout=5s --retries=5 --start-period=30s \
  CMD ["etcdctl", "--endpoints=http://127.0.0.1:2379", "--command-timeout=3s", "endpoint", "health"]
ENTRYPOINT ["tini", "--", "etcd"]

FROM ${DEBIAN} AS haproxy
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends haproxy tini \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb /var/log/*.log /var/log/apt
USER haproxy
EXPOSE 5000 5001 7000
# SIGUSR1: sessions may end by themselves, new ones are refused.
STOPSIGNAL SIGUSR1
ENTRYPOINT ["tini", "--", "haproxy", "-W", "-db"]
CMD ["-f", "/etc/haproxy/haproxy.cfg"]

FROM ${NODE} AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
# What scripts/setup.sh would do: the image's own Node takes the place of the package's.
RUN npm ci --ignore-scripts --loglevel=error \
 && ln -s /usr/local/bin/node node_modules/.bin/node \
 && cksum < package-lock.json > node_modules/.tenure-setup
COPY config.example.yaml ./
COPY scripts scripts
COPY bin bin
COPY src src
RUN sh scripts/build.sh

FROM ${DEBIAN} AS tenure
# Numbers that stay the same in every build: a volume belongs to them.
RUN groupadd --system --gid 999 postgres \
 && useradd --system --uid 999 --gid postgres --home-dir /var/lib/postgresql --shell /bin/bash postgres
# initdb is the daemon's business: no cluster is made at installation. C.UTF-8 is the locale there is.
RUN mkdir -p /etc/postgresql-common/createcluster.d \
 && echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.d/tenure.conf \
 && apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends postgresql-17 tini \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb /var/log/*.log /var/log/apt \
 && install -d -o postgres -g postgres -m 2775 /run/postgresql \
 && install -d -o postgres -g postgres -m 0700 /var/lib/postgresql
ENV LANG=C.UTF-8 PATH=/usr/lib/postgresql/17/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
COPY --from=build /usr/local/bin/node /usr/local/bin/node
COPY --from=build /build/dist /usr/lib/tenure/dist
COPY package.json config.example.yaml /usr/lib/tenure/
COPY bin /usr/lib/tenure/bin
COPY deploy/containers/entrypoint.sh deploy/containers/health.sh /usr/lib/tenure/containers/
COPY deploy/containers/tenure.yml /etc/tenure/tenure.yml
RUN ln -s /usr/lib/tenure/bin/tenure /usr/local/bin/tenure \
 && ln -s /usr/lib/tenure/containers/health.sh /usr/local/bin/tenure-health
# Data directory (data) and the daemon's own state (data.tenure) side by side, below the mount point:
# a new copy is then built beside the old data directory, and takes its place by a rename.
VOLUME /var/lib/postgresql
WORKDIR /var/lib/postgresql
USER postgres
EXPOSE 5432 8008
# SIGTERM goes to the daemon alone, which stops PostgreSQL and hands the lease over.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --retries=3 --start-period=60s CMD ["tenure-health", "/liveness"]
ENTRYPOINT ["tini", "--", "/usr/lib/tenure/containers/entrypoint.sh"]
