#!/usr/bin/perl
# A plain CGI script, for fcgiwrap: one process for each request.
use FindBin;
require "$FindBin::RealBin/questions.pl";

$| = 1;
answer(\&everything);
