"""The configurations of lighttpd's own page about mod_fastcgi, with paths, hosts and ports of our own.

`@PHP@`, `@PORT@` … are filled in by the test. What needs more than a configuration has a test elsewhere: the
compiled application with a rewrite, the named socket and flup in docs/programs.md, authorizers and downloads
beside their features.
"""

from __future__ import annotations

from typing import NamedTuple


class Listing(NamedTuple):
    """A configuration, and the paths to ask for with what an application must have been told."""

    text: str
    asked: dict[str, dict[str, str]]


_PHP = {"SCRIPT_NAME": "/a.php"}

LISTINGS = {
    "two-extensions": Listing(
        """
fastcgi.server = (
  ".php" =>
  (( "host" => "127.0.0.1",
     "port" => @PORT@,
     "bin-path" => "@PHP@"
  )),
  ".php4" =>
  (( "host" => "127.0.0.1",
     "port" => @PORT@
  ))
)
""",
        {"/a.php": _PHP, "/a.php4": {"SCRIPT_NAME": "/a.php4"}},
    ),
    "map-extensions": Listing(
        """
fastcgi.map-extensions = ( ".php3" => ".php", ".php4" => ".php" )
fastcgi.balance = "least-connection"
fastcgi.server = ( ".php" => (( "socket" => "@SOCKET@", "bin-path" => "@PHP@", "max-procs" => 1 )) )
""",
        {"/a.php": _PHP, "/a.php3": {"SCRIPT_NAME": "/a.php3"}, "/a.php4": {"SCRIPT_NAME": "/a.php4"}},
    ),
    "prefix": Listing(
        """
fastcgi.server = (
  "/remote_scripts/" =>
  (( "host" => "127.0.0.1",
     "port" => @REMOTE1@,
     "check-local" => "disable",
     "docroot" => "/" # remote server may use
                      # its own docroot
  ))
)
""",
        {
            "/remote_scripts/test.cgi": {
                "SCRIPT_NAME": "/remote_scripts/test.cgi",
                "SCRIPT_FILENAME": "/remote_scripts/test.cgi",
                "DOCUMENT_ROOT": "/",
            }
        },
    ),
    "prefix-without-slash": Listing(
        """
fastcgi.server = ( "/remote_scripts" =>
  (( "host" => "127.0.0.1", "port" => @REMOTE1@, "check-local" => "disable", "docroot" => "/" ))
)
""",
        {"/remote_scripts/test.cgi": {"SCRIPT_NAME": "/remote_scripts", "PATH_INFO": "/test.cgi"}},
    ),
    "host-policy": Listing(
        """
var.host_policy = (
  "check-local" => "disable", # sample; default "enable"
  #"connect-timeout" => 5,    # sample; default: 0
  #"write-timeout"   => 15,   # sample; default: 0
  #"read-timeout"    => 30,   # sample; default: 0
)

var.host_h1  = ( "host" => "127.0.0.1", "port" => @REMOTE1@ )
var.host_h1 += host_policy
var.host_h2  = ( "host" => "127.0.0.1", "port" => @REMOTE2@ )
var.host_h2 += host_policy
var.host_h3  = ( "host" => "127.0.0.1", "port" => @REMOTE3@ )
var.host_h3 += host_policy

fastcgi.server = ( ".php" => ( host_h1, host_h2, host_h3 ) )
""",
        {"/not-a-file.php": {"SCRIPT_NAME": "/not-a-file.php"}},
    ),
    "fastcgi-opts": Listing(
        """
fastcgi_opts = (
  "check-local" => "disable", # sample; default "enable"
  #"connect-timeout" => 5,    # sample; default: 0
  #"write-timeout"   => 15,   # sample; default: 0
  #"read-timeout"    => 30,   # sample; default: 0
)
fastcgi.server = ( ".php" =>
                   (
                     ( "host" => "127.0.0.1", "port" => @REMOTE1@ ) + fastcgi_opts,
                     ( "host" => "127.0.0.1", "port" => @REMOTE2@ ) + fastcgi_opts,
                     ( "host" => "127.0.0.1", "port" => @REMOTE3@ ) + fastcgi_opts,
                   )
                 )
""",
        {"/not-a-file.php": {"SCRIPT_NAME": "/not-a-file.php"}},
    ),
    "load-balancing": Listing(
        """
fastcgi.server = ( ".php" =>
  (
    ( "host" => "127.0.0.1",
      "port" => @REMOTE1@
    ),
    ( "host" => "127.0.0.1",
      "port" => @REMOTE2@ )
    )
  )
""",
        {"/a.php": _PHP},
    ),
    "starting-php": Listing(
        """
  fastcgi.server = ( ".php" =>
    (( "socket" => "@SOCKET@",
        "bin-path" => "@PHP@"
    ))
  )
""",
        {"/a.php": _PHP},
    ),
    "roadsend": Listing(
        """
fastcgi.server = ( ".php" =>
  ( "localhost" =>
    ( "host"        =>     "127.0.0.1",
      "port"        =>     @PORT@,
      "bin-path"    =>     "@PCC@",
    )
  )
)
""",
        {"/a.php": _PHP},
    ),
}

# 4 processes with 16 children each.
LARGE_LISTINGS = {
    "php-children": Listing(
        """
fastcgi.server = ( ".php" =>
  (( "socket" => "@SOCKET@",
     "bin-path" => "@PHP@",
     "bin-environment" => (
       "PHP_FCGI_CHILDREN" => "16",
       "PHP_FCGI_MAX_REQUESTS" => "10000"
     )
  ))
)
""",
        {"/a.php": {**_PHP, "PHP_FCGI_CHILDREN": "16", "PHP_FCGI_MAX_REQUESTS": "10000"}},
    ),
    "php-environment": Listing(
        """
fastcgi.server = ( ".php" =>
  (( "socket" => "@SOCKET@",
      "bin-path" => "@PHP@",
      "bin-environment" => (
        "PHP_FCGI_CHILDREN" => "16",
        "PHP_FCGI_MAX_REQUESTS" => "10000"
      ),
      "bin-copy-environment" => ( "PATH", "SHELL", "USER" ),
      "broken-scriptfilename" => "enable"
  ))
)
""",
        {"/a.php/x": {**_PHP, "PATH_INFO": "/x", "PHP_SELF": "/a.php/x", "PHP_FCGI_CHILDREN": "16"}},
    ),
}
