# What every program of the tests answers; see questions.h. The body is what the caller has read of it.
use strict;
use warnings;

sub answer {
    my ($body) = @_;
    my $asked = $ENV{QUERY_STRING} // "";
    print "Content-Type: text/plain\r\n\r\n";
    if ($asked eq "env") {
        print map { "$_=$ENV{$_}\n" } sort keys %ENV;
    } elsif ($asked eq "echo") {
        print $body->();
    } elsif ($asked =~ /^large=(\d+)$/) {
        print substr("0123456789" x ($1 / 10 + 1), 0, $1);
    } elsif ($asked =~ /^complain=(.*)$/) {
        print STDERR "$1\n";
        print "complained\n";
    } elsif ($asked eq "die") {
        print "half of";
        STDOUT->flush();
        # A plain script is not the process that the web server knows: fcgiwrap, which started it, is.
        kill "KILL", getppid() if $ENV{FCGI_ROLE} && !tied *STDOUT;
        kill "KILL", $$;
    } else {
        sleep 1 if $asked eq "slow";
        print "Hello\n";
    }
}

sub everything {
    my ($body, $piece) = ("");
    $body .= $piece while read STDIN, $piece, 8192;
    return $body;
}

1;
