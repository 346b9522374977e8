# docker build -t plusmv .                                      (or with CUDA: --build-arg TORCH_INDEX=URL, see below)
# docker run --rm -v "$PWD:/work" -v plusmv:/data plusmv demo
# docker run --rm --gpus all -v "$PWD:/work" -v plusmv:/data plusmv extract --videos thumos14 --out /data/thumos14-features
#
# The user in it has id 1000; add --user "$(id -u):$(id -g)" if the mounted folder is another's and is to be written to.
#
# TORCH_INDEX is the package index that torch is taken from: PyTorch's own, for the CPU or for your CUDA version (its
# installation page names the address). Left empty, torch comes from pip's default index, in the build that is the default there.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim-trixie AS build
ARG TORCH_INDEX=
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
# torch first: the largest layer does not change with the code
COPY constraints.txt ./
RUN pip install -c constraints.txt ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch
COPY pyproject.toml README.md LICENSE ./
COPY core core
COPY db db
COPY features features
COPY curate curate
COPY wsal wsal
COPY labeler_ui labeler_ui
COPY demo demo
# symbolic links to the folders above
COPY plusmv plusmv
RUN pip install -c constraints.txt '.[postgres]'

FROM python:${PYTHON}-slim-trixie
COPY --from=build /opt/venv /opt/venv
# pip stays in the environment: `plusmv weights` fetches by it
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PLUSMV_HOME=/data/plusmv \
    PLUSMV_WEIGHTS=/data/weights
RUN useradd --uid 1000 --create-home plusmv && install -d -o plusmv -g plusmv /data /work
USER plusmv
WORKDIR /work
VOLUME /data
# plusmv label --address 0.0.0.0 --passwords /data/passwords      and docker run -p 8501:8501; under another port or name,
# --allow-host localhost:9000 too. In a container without passwords nothing is reached from outside it.
EXPOSE 8501
ENTRYPOINT ["plusmv"]
CMD ["--help"]
