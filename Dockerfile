# modelprep in a container: docs/install.md has the commands.
#     docker build --tag modelprep .
#     docker run --rm --volume modelprep-cache:/cache --volume "$PWD:/work" --user "$(id -u)" modelprep fetch armnn-onnx
FROM debian:trixie-slim AS build
ARG EXTRAS=bundle,check
# Debian keeps one version of a package in a release, and older ones vanish: a pin would break the build.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates python3 python3-venv \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY pyproject.toml README.md CHANGELOG.md LICENSE ./
COPY modelprep modelprep
COPY recipes recipes
COPY docs/man docs/man
RUN python3 -m venv /opt/modelprep \
 && /opt/modelprep/bin/pip install --no-cache-dir ".[${EXTRAS}]"

FROM debian:trixie-slim
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates openssh-client python3 rsync \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 1000 modelprep \
 && install --directory --mode 1777 /cache /work \
 && ln -s /opt/modelprep/bin/modelprep /usr/local/bin/modelprep
COPY --from=build /opt/modelprep /opt/modelprep
ENV MODELPREP_CACHE=/cache
USER 1000
VOLUME /cache
WORKDIR /work
ENTRYPOINT ["modelprep"]
CMD ["--help"]
