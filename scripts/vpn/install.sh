#!/bin/sh
# Installs what the demo and the end-to-end tests need of ocserv, openconnect, iproute2 and openssl (Debian, as root).
# An ocserv that it installs is neither started nor enabled; ../debian.sh says the rest, and the exit statuses.
set -eu
. "$(dirname "$0")/../debian.sh"

need ocserv ocserv ocserv.service ocserv.socket
need openconnect openconnect
need ip iproute2
need openssl openssl
install_needed
