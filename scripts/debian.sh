# shellcheck shell=sh
# Installs Debian packages, and sees that no service of theirs runs or will start at boot. To be sourced by a script that says what
# it needs: `need COMMAND PACKAGE [UNIT...]` for each, then `install_needed`. What was here before is left as it is.
# Status of that script: 0 there is all that is needed, 3 not root, 4 not a Debian, 5 apt could not install it.
set -eu
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH

wanted=
units=

need() {
  command -v "$1" >/dev/null && return
  case "$wanted " in *" $2 "*) ;; *) wanted="$wanted $2" ;; esac
  shift 2
  units="$units $*"
}

give_up() {
  status=$1
  shift
  echo "${0##*/}: $*" >&2
  exit "$status"
}

policy=/usr/sbin/policy-rc.d
our_policy=
output=
clean_up() {
  rm -f "$output"
  if [ -n "$our_policy" ]; then rm -f "$policy"; fi
}

# Debian starts a service as soon as it is installed, unless this file says no. One that exists has its reasons.
forbid_services() {
  if [ -e "$policy" ] || [ -L "$policy" ]; then return; fi
  our_policy=yes
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
}

keep_services_off() {
  for unit in $units; do
    service=${unit%.*}
    # Under somebody else's policy-rc.d it may have been started.
    if [ -z "$our_policy" ]; then service "$service" stop >/dev/null 2>&1 || :; fi
    if command -v systemctl >/dev/null; then systemctl disable "$unit" >/dev/null 2>&1 || :; fi
    rm -f "/etc/systemd/system/multi-user.target.wants/$unit" "/etc/systemd/system/sockets.target.wants/$unit"
    if command -v update-rc.d >/dev/null; then update-rc.d "$service" disable >/dev/null 2>&1 || :; fi
  done
}

apt() {
  # Unlike a person, this can wait for another apt to end.
  DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 "$@" >"$output" 2>&1 </dev/null
}

apt_install() {
  # shellcheck disable=SC2086 # the names are ours and meant to be words
  apt install -y --no-install-recommends $wanted
}

# The files carry the archive's dates; the folder's own is that of the last change here.
lists_are_fresh() {
  ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1 &&
    [ -n "$(find /var/lib/apt/lists -maxdepth 0 -mtime -7)" ]
}

install_needed() {
  [ -n "$wanted" ] || exit 0
  [ "$(id -u)" = 0 ] || give_up 3 "missing:$wanted; only root can install them"
  command -v apt-get >/dev/null && [ -f /etc/debian_version ] ||
    give_up 4 "missing:$wanted; this script knows Debian and its kin only, install them by hand"

  output=$(mktemp)
  trap clean_up EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM

  echo "installing$wanted"
  forbid_services
  lists_are_fresh || apt update || give_up 5 "apt-get update failed: $(tail -n 1 "$output")"
  apt_install || { apt update && apt_install; } || give_up 5 "apt-get failed: $(tail -n 1 "$output")"
  keep_services_off
}
