#!/bin/sh
# The environment of a kind of potential, from the package index: environment.sh gap|nequix|hifi FOLDER
set -e
python3 -m venv "$2"
case "$1" in
gap)
    "$2/bin/pip" install --quiet quippy-ase
    ;;
hifi) # its clusters are a package of their own
    "$2/bin/pip" install --quiet atom-hifi fhi-decaf
    ;;
nequix) # its own metadata ask for CUDA
    "$2/bin/pip" install --quiet --no-deps nequix
    "$2/bin/pip" install --quiet "jax<0.10.2" e3nn-jax equinox jraph matscipy tqdm pyyaml h5py cloudpickle lmdb optax \
        jax-md flax ase vesin scipy click rich matplotlib
    ;;
*)
    echo "environment.sh: $1 is none of gap, nequix and hifi" >&2
    exit 2
    ;;
esac
