#!/bin/sh
# Takes out of installed packages what no container of ours can use, and compiles the rest: a container's
# root is read-only, so what is not compiled here would be compiled at every start.
#
#     trim.sh PYTHON SITE_PACKAGES
set -eu
python=$1
cd "$2"

# The packages' own tests.
find . -type d -name tests -prune -exec rm -rf {} +
# Headers and test programs: they serve compilers, and there is none.
rm -rf numpy/_core/include pyarrow/include pyarrow/src torch/include torch/test torch/bin/test_* torch/bin/protoc*
# Arrow's RPC framework, an optional part that nothing else links to.
rm -f pyarrow/_flight.*.so pyarrow/libarrow_flight.so* pyarrow/libarrow_python_flight.so*

# Hash-based files hold whatever the file times become on their way through layers. Templates that only
# look like Python do not compile, hence the second quiet.
"$python" -m compileall -qq --invalidation-mode unchecked-hash . || true
