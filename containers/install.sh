#!/bin/sh
# Adds a lock's packages to the environment /opt/venv, in one layer and without what a container cannot use.
#
#     install.sh LOCK [REQUIREMENT [INDEX]]
#
# REQUIREMENT is installed after the lock, with what it needs beyond it, also from INDEX.
set -eu
[ -d /opt/venv ] || python3 -m venv --without-pip /opt/venv
python=$(readlink -f /opt/venv/bin/python)  # the one that has pip
added=/opt/added
site=$added/lib/python3.11/site-packages

# Only what is not there yet; under a prefix of its own, so that the rest is not touched again.
install() {
  PYTHONPATH=$site "$python" -m pip --python /opt/venv/bin/python install --prefix "$added" \
    --only-binary=:all: --no-cache-dir --no-compile "$@"
}
install --no-deps --require-hashes --requirement "$1"
if [ -n "${2:-}" ]; then
  install "$2" ${3:+--extra-index-url "$3"}
fi

cd "$site"
# The packages' own tests.
find . -type d -name tests -prune -exec rm -rf {} +
# Headers and test programs: they serve compilers, and there is none.
rm -rf numpy/_core/include pyarrow/include pyarrow/src torch/include torch/test torch/bin/test_* torch/bin/protoc*
# Arrow's RPC framework, an optional part that nothing else links to.
rm -f pyarrow/_flight.*.so pyarrow/libarrow_flight.so* pyarrow/libarrow_python_flight.so*

# The root is read-only: what is not compiled now would be compiled at every start. Files with hashes hold
# whatever becomes of file times in layers. Code of other Pythons does not compile, and need not.
"$python" -m compileall -qq --invalidation-mode unchecked-hash . || true
cp -al "$added/." /opt/venv/
rm -rf "$added"
