"""The help of `fcgibox recipe trac`, which is also the grammar of its options (docopt)."""

USAGE = """fcgibox recipe trac: run Trac. The first start creates what is missing.

Usage:
  fcgibox recipe trac [options] [--env=DIR]... [--listen=ADDR]... [--htpasswd=FILE]...
  fcgibox recipe trac -h | --help

Projects:
  --env=DIR            a Trac environment; a directory that is missing or empty becomes one.
                       NAME=DIR serves it at /NAME. May be repeated: each project then is at
                       its NAME (or its directory's), with an index of them all at the top
  --parent-dir=DIR     every environment below DIR, each at its directory's name; one that
                       is created later appears by itself
  --demo               put sample tickets, pages and a milestone into a new environment

Where it answers:
  --at=PREFIX          path of the site [default: /]
  --listen=ADDR        8000, :8000, ADDR:PORT, [::]:80 or unix:/path; may be repeated.
                       Without an address it is this machine only. Default: 127.0.0.1:8000
  --lan                all interfaces, wherever --listen names no address
  --url=URL            what browsers see, when another server or TLS stands in front:
                       https://example.org, or with the path that it puts before ours

Who may log in:
  --htpasswd=FILE      password file of all projects; NAME=FILE: of one; /=FILE: of the index
                       page (with --private). May be repeated
  --realm=TEXT         what the browser's password window says; default: the project's name
  --private            ask for a password on every page, not only at the login

How it runs:
  --user=NAME          run as this user (only root can choose); default: the environment's
                       owner, www-data for a new one
  --processes=MIN-MAX  Trac processes; default: from 1 to what processors and memory allow
  --locale=NAME        an installed locale such as de_DE.UTF-8, for plugins that ask for it; Trac's
                       own texts and dates follow the browser's language
  --plugins-dir=DIR    plugins for all projects: .py and .egg files, unpacked wheels
  --access-log=FILE    write a line per request (Combined format); `-` is the terminal

Instead of running:
  --print              print the configuration, in the language of lighttpd; save it, edit
                       it, `fcgibox serve` it (or let a real lighttpd do so)
  --check              look at everything and say what a start would do; change nothing
  -h --help            this text

Password files. The first of these that exists is the project's:
  1. --htpasswd NAME=FILE      2. --htpasswd FILE      3. DIR.htpasswd, beside the environment
  4. DIR/conf/htpasswd         5. with --parent-dir: PARENT/htpasswd, then PARENT/.htpasswd
If there is none the login is closed until DIR.htpasswd appears. They are read again when they
change. `fcgibox passwd FILE USER` writes them; those of Apache work as they are.

A new environment gets a user admin, who may do everything. The password is shown once on a
terminal; without one it is in DIR.admin-password, which only Trac's user can read.

Examples:
  fcgibox recipe trac --env ./mytrac --demo
  fcgibox recipe trac --env /srv/trac --listen 80 --lan
  fcgibox recipe trac --env web=/srv/trac/web --env shop=/srv/trac/shop --at /trac
  fcgibox recipe trac --parent-dir /srv/projects --private --url https://example.org
  fcgibox recipe trac --env /srv/trac --print > lighttpd.conf
"""
