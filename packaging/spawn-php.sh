#!/bin/sh
# Start PHP for FastCGI outside the web server: as its own user, with a clean environment.
#
#   spawn-php.sh                  with the settings below
#   spawn-php.sh SETTINGS-FILE    with what that file sets in their place (the same names; one file for each PHP)
#
# It prints "child spawned successfully: PID: N"; `kill N` ends that PHP and its children. Works with spawn-fcgi
# and with `fcgibox spawn`. Settings come from here and from the file, never from the caller's environment.

## ABSOLUTE path to the spawn-fcgi binary, or the words "/ABSOLUTE/path/to/fcgibox spawn"
SPAWNFCGI="/usr/bin/spawn-fcgi"

## ABSOLUTE path to the PHP binary: the FastCGI one (Debian's package php-cgi), not the one for the command line
FCGIPROGRAM="/usr/bin/php-cgi"

## ABSOLUTE path to a php.ini; empty: PHP's own
FCGI_CONFIG=""

## bind to this TCP port …
FCGIPORT="1026"
## … of this address. For web servers on other machines: this machine's address in a network that only they share
FCGIADDRESS="127.0.0.1"

## or bind to this unix domain socket, with FCGIPORT=""
FCGISOCKET=""

## number of PHP children, which answer requests; there is one process more, which watches them
PHP_FCGI_CHILDREN=10

## number of requests that a child answers before another one takes its place
PHP_FCGI_MAX_REQUESTS=1000

## IP addresses of the web servers, separated by commas; PHP hangs up on all others (not with a unix socket)
FCGI_WEB_SERVER_ADDRS="127.0.0.1"

## names of the caller's environment variables that PHP gets too, separated by spaces
ALLOWED_ENV="PATH USER"

## who PHP runs as when root starts this script; otherwise it runs as whoever does
USERID="www-data"
GROUPID="www-data"

################ no settings below this line

set -eu

fail() {
  echo "spawn-php.sh: $*" >&2
  exit 1
}

case $# in
  0) ;;
  1)
    [ -r "$1" ] || fail "cannot read the settings file $1"
    # A name without a slash would be looked for along PATH.
    case $1 in
      */*) file=$1 ;;
      *) file=./$1 ;;
    esac
    # shellcheck source=/dev/null
    . "$file"
    ;;
  *) fail "give one settings file, or none" ;;
esac

# The first word only: the rest may be "spawn".
[ -x "${SPAWNFCGI%% *}" ] || fail "SPAWNFCGI: there is no program ${SPAWNFCGI%% *}; apt-get install spawn-fcgi," \
  "or set it to \"/path/to/fcgibox spawn\""
[ -x "$FCGIPROGRAM" ] || fail "FCGIPROGRAM: there is no program $FCGIPROGRAM; apt-get install php-cgi, or correct it"
[ -z "$FCGI_CONFIG" ] || [ -r "$FCGI_CONFIG" ] || fail "FCGI_CONFIG: cannot read $FCGI_CONFIG"

# From the end to the front, so that no value is ever split: the program, …
set -- -- "$FCGIPROGRAM"
[ -z "$FCGI_CONFIG" ] || set -- "$@" -c "$FCGI_CONFIG"

# … the options, …
if [ "$(id -u)" = 0 ]; then
  set -- -u "$USERID" -g "$GROUPID" "$@"
fi
set -- -C "$PHP_FCGI_CHILDREN" "$@"
if [ -n "$FCGISOCKET" ] && [ -n "$FCGIPORT" ]; then
  fail "FCGIPORT and FCGISOCKET: set one of them, and the other to \"\""
elif [ -n "$FCGISOCKET" ]; then
  set -- -s "$FCGISOCKET" -M 0660 "$@"
elif [ -n "$FCGIPORT" ]; then
  set -- -a "$FCGIADDRESS" -p "$FCGIPORT" "$@"
else
  fail "FCGIPORT and FCGISOCKET are both empty: set one of them"
fi

# … the command, which may be two words, …
# shellcheck disable=SC2086
set -- $SPAWNFCGI "$@"

# … and its environment.
set -- "PHP_FCGI_MAX_REQUESTS=$PHP_FCGI_MAX_REQUESTS" "$@"
[ -z "$FCGI_WEB_SERVER_ADDRS" ] || set -- "FCGI_WEB_SERVER_ADDRS=$FCGI_WEB_SERVER_ADDRS" "$@"
for name in $ALLOWED_ENV; do
  case $name in
    [0-9]* | *[!A-Za-z0-9_]*) fail "ALLOWED_ENV: \"$name\" is no name of a variable" ;;
  esac
  # Only what the caller has exported: a name of ours would be a setting.
  if value=$(printenv "$name"); then
    set -- "$name=$value" "$@"
  fi
done
exec env -i "$@"
