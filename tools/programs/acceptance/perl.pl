#!/usr/bin/perl
# Children, pipes, threads, sockets and files.
use strict;
use warnings;
use threads;
use threads::shared;
use Digest::SHA qw(sha256_hex);
use Fcntl qw(:flock);
use File::Temp qw(tempdir);
use IO::Select;
use IO::Socket::INET;
use POSIX qw(:sys_wait_h);
use Storable qw(store retrieve);
use Time::HiRes qw(sleep);

my $place = tempdir(CLEANUP => 1);

pipe(my $out, my $in) or die "pipe: $!";
my $child = fork() // die "fork: $!";
if (!$child) { close $out; print $in "from the child\n"; close $in; POSIX::_exit(5) }
close $in;
<$out> eq "from the child\n" or die "what the child wrote";
waitpid($child, 0) == $child && WEXITSTATUS($?) == 5 or die "how the child ended: $?";

`printf abc | tr a-c A-C` eq "ABC" or die "a pipeline of a shell";
system("false") >> 8 == 1 or die "system";

my $total : shared = 0;
$_->join for map { my $n = $_; threads->create(sub { for (1 .. 100) { lock($total); $total += $n } }) } 1 .. 4;
$total == 1000 or die "threads: $total";

my $server = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1", LocalPort => 0) or die "listen: $!";
my $client = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $server->sockport) or die "connect: $!";
my $accepted = $server->accept or die "accept: $!";
print $accepted "hello\n";
$accepted->flush;
IO::Select->new($client)->can_read(5) or die "nothing to read";
<$client> eq "hello\n" or die "what the client read";

open(my $file, "+>", "$place/a") or die "open: $!";
flock($file, LOCK_EX) or die "flock: $!";
print $file join("\n", 1 .. 5000);
close $file;
rename("$place/a", "$place/b") or die "rename: $!";
symlink("b", "$place/c") or die "symlink: $!";
open($file, "<", "$place/c") or die "open: $!";
my @lines = <$file>;
@lines == 5000 or die "lines";
sha256_hex("abc") =~ /^ba7816bf/ or die "a digest";
store({ list => [1, 2, 3] }, "$place/stored");
retrieve("$place/stored")->{list}[2] == 3 or die "Storable";

my $alarms = 0;
local $SIG{ALRM} = sub { $alarms++ };
Time::HiRes::alarm(0.05);
for (1 .. 100) { last if $alarms; sleep 0.05 }
$alarms == 1 or die "no alarm";
my %words;
$words{$_}++ for "the cat the dog the end" =~ /\w+/g;
join(",", map { "$_=$words{$_}" } sort keys %words) eq "cat=1,dog=1,end=1,the=3" or die "words";
print "accepted\n";
