#!/usr/bin/perl
# A Perl program with CGI::Fast, which reads the body before the program sees the request.
use CGI::Fast;
use FindBin;
require "$FindBin::RealBin/questions.pl";

while (my $query = CGI::Fast->new) {
    answer(sub { $query->param("POSTDATA") });
}
