#!/usr/bin/perl
# A Perl program with the module FCGI.
use FCGI;
use FindBin;
require "$FindBin::RealBin/questions.pl";

my $request = FCGI::Request();
while ($request->Accept() >= 0) {
    answer(\&everything);
}
