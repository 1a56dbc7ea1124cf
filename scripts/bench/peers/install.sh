#!/bin/sh
# Installs what the bench compares the hook with: curl, Python's grpcio, and Go with its gRPC (Debian, as root). What a command cannot
# show is looked for by a file of the package. ../../debian.sh says the rest, and the exit statuses.
set -eu
. "$(dirname "$0")/../../debian.sh"

need curl curl
need /usr/bin/python3 python3
need go golang-go
need_file() {
  [ -e "$1" ] || wanted="$wanted $2"
}
need_file /usr/lib/python3/dist-packages/grpc python3-grpcio
need_file /usr/share/gocode/src/google.golang.org/grpc golang-google-grpc-dev
install_needed
