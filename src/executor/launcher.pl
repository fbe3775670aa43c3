#!/usr/bin/perl
# The launcher where no C compiler is: launcher.c tells the language and the promises, test/executor/contract.ts holds both to them.
# Needs only perl-base. It forks with a copy of itself instead of vfork, so it starts about half as many jobs a second, and it looks for
# open files up to the soft limit only; where system calls cannot be named (not Linux or macOS) memory used is reported as 0.
use strict;
use warnings;
use Errno qw(EAGAIN EINTR ENOENT ENOTDIR EACCES ENOSPC EEXIST EPERM ECANCELED);
use Fcntl;
use POSIX ();

my $REQUEST_MAX = 64 << 20;
my $LEDGER_MAX = 4 << 20;
my $LEFTOVER_GRACE = 1;      # seconds, as the rest; why each is that long is told in launcher.c
my $PROOF = 3;
my $RECHECK = 0.01;
my $LOOK = 0.05;             # a SIGCHLD that comes between two instructions of ours and select is noticed this late at most
my ($TAIL, $ROOM, $CHUNK) = (2048, 2048 + 64, 65536);

my $linux = $^O eq 'linux';
my $machine = (POSIX::uname())[4];
my %calls = $linux ? (x86_64 => [61, 157, 228], aarch64 => [260, 167, 113]) : $^O eq 'darwin' ? ($machine => [7, 0, 0]) : ();
my ($deaf, $saidDeaf) = (0, 0);
my ($WAIT4, $PRCTL, $CLOCK) = @{ $calls{$machine} || [0, 0, 0] };
# Time::HiRes is not in perl-base.
my $clock = $CLOCK ? sub { my $t = "\0" x 16; syscall($CLOCK, 1, $t); my ($s, $ns) = unpack 'qq', $t; $s + $ns / 1e9 }
  : eval { require Time::HiRes; Time::HiRes::clock_gettime(Time::HiRes::CLOCK_MONOTONIC()) }
  ? sub { Time::HiRes::clock_gettime(Time::HiRes::CLOCK_MONOTONIC()) } : sub { time };

my (%jobs, %byPid, $ledger, $ledgerBytes, $ledgerFile, $ledgerBefore, $torn, $sequence);
# By name: requests that wait for a slot, in order; slots in all, of our jobs, of processes of other launchers; how many of its jobs run.
my %pools;
sub poolNamed { return $pools{ $_[0] } //= { waiting => [], capacity => 0, taken => 0, elsewhere => 0, running => 0 } }
sub isAnyWaiting { return scalar grep { @{ $_->{waiting} } } values %pools }
my ($in, $out, $stdinOpen, $since, $ledgerDir) = ('', '', 1, time, $ARGV[0] // exit 64);
($ledgerBytes, $ledgerFile, $ledgerBefore, $torn, $sequence) = (0, '', '', 0, 0);

sub slurp { my ($path) = @_; open(my $f, '<', $path) or return ''; local $/; my $text = <$f>; close $f; return $text // '' }

# (start time, state)
sub startTime {
  my ($pid) = @_;
  return (time, 'R') unless $linux;
  my $stat = slurp("/proc/$pid/stat");
  my $at = rindex($stat, ')');
  return (0, '') if $at < 0;
  my @field = split ' ', substr($stat, $at + 2);
  return ($field[19], $field[0]);
}

sub flushOut {
  while (length $out) {
    my $n = syswrite(STDOUT, $out);
    if (defined $n) { substr($out, 0, $n) = ''; next }
    next if $! == EINTR;
    last if $! == EAGAIN;
    $out = '';
  }
}

my ($selfStart) = startTime($$);
my $bootId = $linux ? slurp('/proc/sys/kernel/random/boot_id') : '-';
chomp $bootId;
$bootId = '-' if $bootId eq '';

sub ledgerOpen {
  if ($ledger) { close $ledger; unlink $ledgerBefore if $ledgerBefore ne ''; $ledgerBefore = $ledgerFile }
  $ledgerFile = sprintf '%s/%010d-%d-%04d', $ledgerDir, $since, $$, $sequence++;
  $ledgerBytes = 0;
  undef $ledger;
  sysopen($ledger, $ledgerFile, O_WRONLY | O_CREAT | O_APPEND, 0666) or return;
  $ledgerBytes = syswrite($ledger, "L $$ $selfStart $bootId\n") || 0;
}

# 0 or an errno
sub ledgerWrite {
  my ($line) = @_;
  ledgerOpen() unless $ledger;
  return $! + 0 unless $ledger;
  if ($torn) { my $n = syswrite($ledger, "\n"); $torn = 0 if $n }
  my $n = syswrite($ledger, $line);
  return $! + 0 unless defined $n;
  $ledgerBytes += $n;
  return 0 if $n == length $line;
  $torn = 1;
  return ENOSPC;
}

sub record { my ($line) = @_; ledgerWrite("$line\n"); $out .= "$line\n" }

# ---- output of a job ----

# Of a directory we hold. Elsewhere than on Linux no name leads below a descriptor: there a job that moves its directory loses its output.
sub inHome { my ($j, $name) = @_; return $linux ? '/proc/self/fd/' . fileno($j->{home}) . "/$name" : "$j->{dir}/$name" }

# A new file or nothing: a FIFO would stop us, a link lead us elsewhere.
sub createIn {
  my ($j, $name) = @_;
  my $file;
  return sysopen($file, inHome($j, $name), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_NONBLOCK | O_APPEND, 0666) ? $file : undef;
}

sub openOutput {
  my ($j, $s) = @_;
  return $s->{file} if exists $s->{file};
  my $file = createIn($j, $s->{name});
  $file = createIn($j, $s->{name}) if !$file && $! == EEXIST && !-d inHome($j, $s->{name}) && unlink inHome($j, $s->{name});
  return $s->{file} = $file;
}

sub put { my ($file, $text) = @_; while (length $text) { my $n = syswrite($file, $text); return unless $n; substr($text, 0, $n) = '' } }

sub keep {
  my ($j, $s, $data) = @_;
  my $n = length $data;
  my $room = $s->{seen} < $s->{head} ? $s->{head} - $s->{seen} : 0;
  my $first = $n < $room ? $n : $room;
  if ($first) { my $file = openOutput($j, $s); put($file, $first == $n ? $data : substr($data, 0, $first)) if $file }
  $s->{seen} += $n;
  my $size = $j->{outputMax} - $s->{head};
  return unless $first < $n && $size;
  $s->{tail} .= substr($data, $first);
  $s->{tailed} += $n - $first;
  $s->{tail} = substr($s->{tail}, -$size) if length $s->{tail} > $size;
}

sub drain {
  my ($j, $s) = @_;
  return 0 unless $s->{pipe};
  my $n = sysread($s->{pipe}, my $chunk, $CHUNK);
  if ($n) { keep($j, $s, $chunk); return $n == $CHUNK }
  if (defined $n) { close $s->{pipe}; delete $s->{pipe} }
  return 0;
}

sub closeStream {
  my ($j, $s) = @_;
  my $turns = 32;
  1 while $turns-- && drain($j, $s);
  close delete $s->{pipe} if $s->{pipe};
  if ($s->{tailed} && (my $file = openOutput($j, $s))) {
    my $size = $j->{outputMax} - $s->{head};
    put($file, $s->{tailed} > $size && $size == $ROOM
      ? sprintf("\n[%d bytes left out]\n", $s->{tailed} - $TAIL) . substr($s->{tail}, -$TAIL)
      : $s->{tail});
  }
  close $s->{file} if $s->{file};
}

# ---- processes a job leaves behind ----

sub childrenOf { my ($pid) = @_; return map { split ' ', slurp($_) } glob("/proc/$pid/task/*/children") }

# 1 its own, 0 another's, -1 hidden
sub belongs {
  my ($pid, $j) = @_;
  my ($dir) = grep { index($_, 'OCPS_WORK_DIR=') == 0 } split /\0/, slurp("/proc/$pid/environ");
  return defined $dir ? ($dir eq "OCPS_WORK_DIR=$j->{dir}" ? 1 : 0) : -1;
}

sub signalTree {
  my ($pid, $group, $sig, $depth) = @_;
  return if !$linux || $depth > 64;
  signalTree($_, $group, $sig, $depth + 1) for childrenOf($pid);
  kill $sig, $pid if (getpgrp($pid) // -1) != $group;
}

sub strays {
  my ($j, $sig) = @_;
  my $found = 0;
  return 0 unless $linux;
  for my $pid (split ' ', slurp("/proc/$$/task/$$/children")) {
    next if $byPid{$pid};
    my (undef, $state) = startTime($pid);
    next if $state eq '' || $state eq 'Z' || $state eq 'X';
    my $whose = belongs($pid, $j);
    next if $whose == 0 || ($whose < 0 && keys %jobs > 1);
    $found++;
    signalTree($pid, -1, $sig, 0) if $sig;
  }
  return $found;
}

sub signalJob {
  my ($j, $sig) = @_;
  my $number = $sig eq 'TERM' ? 15 : 9;
  signalTree($j->{pid}, $j->{pid}, $sig, 0) unless $j->{ended};
  kill $sig, -$j->{pid};
  kill 'CONT', -$j->{pid} if $sig eq 'TERM';
  strays($j, $sig);
  $j->{stoppedBy} = $number;
}

sub leftovers {
  my ($j) = @_;
  my $group = kill(0, -$j->{pid}) || $! == EPERM ? 1 : 0;
  return $group + strays($j, undef);
}

sub finish {
  my ($j) = @_;
  closeStream($j, $_) for @{ $j->{streams} };
  record(join ' ', 'E', $j->{id}, $j->{attempt}, $j->{status}, int($j->{wall} * 1e6), @{ $j->{usage} },
    $j->{streams}[0]{seen}, $j->{streams}[1]{seen}, $j->{stoppedBy}, $j->{survivors});
  $j->{pool}{taken} -= $j->{slots};
  $j->{pool}{running}--;
  delete $byPid{ $j->{pid} };
  delete $jobs{"$j->{id} $j->{attempt}"};
}

sub advance {
  my ($j, $now) = @_;
  if ($j->{ended}) {
    my $left = leftovers($j);
    if (!$left || ($j->{proofAt} && $now >= $j->{proofAt})) { $j->{survivors} = $left; finish($j); return }
    if (!$j->{stopping}) { $j->{stopping} = 1; $j->{killAt} = $now + $LEFTOVER_GRACE; signalJob($j, 'TERM') }
  }
  return if !$j->{stopping} || $now < $j->{killAt};
  $j->{proofAt} ||= $now + $PROOF;
  signalJob($j, 'KILL');
}

# (pid, status, [user us, system us, peak KiB]) of a child that has ended, or nothing
sub waitOne {
  if ($WAIT4) {
    my ($status, $usage) = (pack('l', 0), "\0" x 256);
    my $pid = syscall($WAIT4, -1, $status, 1, $usage, 0);
    return () if $pid <= 0;
    my ($us, $uu, $ss, $su, $peak) = unpack 'q l x4 q l x4 q', $usage;
    return ($pid, unpack('l', $status), [$us * 1000000 + $uu, $ss * 1000000 + $su, $linux ? $peak : int($peak / 1024)]);
  }
  my @before = times;
  my $pid = waitpid(-1, 1);
  my $status = $?;
  my @after = times;
  return $pid > 0 ? ($pid, $status, [map({ int(($after[$_] - $before[$_]) * 1e6) } 2, 3), 0]) : ();
}

sub reap {
  while (my ($pid, $status, $usage) = waitOne()) {
    my $j = $byPid{$pid} or next;
    next if $j->{ended};
    @$j{qw(ended status usage wall)} = (1, $status & 127 ? -($status & 127) : $status >> 8, $usage, $clock->() - $j->{startedAt});
  }
  my $now = $clock->();
  for my $j (my @all = values %jobs) { advance($j, $now) if $j->{ended} }
}

# ---- starting ----

# Comes back only when it failed, with an errno.
sub execute {
  my ($argv, $env) = @_;
  %ENV = map { split /=/, $_, 2 } @$env;
  no warnings 'exec';
  my $program = $argv->[0];
  if ($program =~ m{/}) { exec { $program } @$argv; return $! + 0 }
  my $denied = 0;
  for my $dir (split /:/, $ENV{PATH} // '/usr/local/bin:/usr/bin:/bin', -1) {
    my $path = $dir eq '' ? $program : "$dir/$program";
    exec { $path } @$argv;
    if ($! == EACCES) { $denied = 1 } elsif ($! != ENOENT && $! != ENOTDIR) { return $! + 0 }
  }
  return $denied ? EACCES : ENOENT;
}

sub makeDir {
  my ($dir) = @_;
  return 0 if mkdir $dir;
  return $! + 0 if $! != EEXIST;
  for my $n (1 .. 99999) {
    next if lstat "$dir~$n";
    rename($dir, "$dir~$n") or return $! + 0;
    return mkdir($dir) ? 0 : $! + 0;
  }
  return EEXIST;
}

sub writeMembers {
  my ($j, $text) = @_;
  my $f = createIn($j, 'members.json') or return $! + 0;
  while (length $text) {
    my $n = syswrite($f, $text);
    return ($! + 0) || ENOSPC unless $n;
    substr($text, 0, $n) = '';
  }
  return close($f) ? 0 : $! + 0;
}

sub nonBlocking { my ($f) = @_; fcntl($f, F_SETFL, fcntl($f, F_GETFL, 0) | O_NONBLOCK) }

sub run {
  return if $deaf;
  my (undef, $id, $attempt, $dir, $outputMax, $members, $slots, undef, $pool, $argc, @rest) = @_;
  my @argv = splice @rest, 0, $argc;
  my $envc = shift @rest;
  return unless @argv && defined $envc && @rest == $envc;
  my $head = $outputMax > 2 * $ROOM ? $outputMax - $ROOM : $outputMax - int($outputMax / 2);
  my %j = (id => $id, attempt => $attempt, dir => $dir, outputMax => $outputMax, slots => $slots, pool => poolNamed($pool), stoppedBy => 0, survivors => 0,
    streams => [map { { name => $_, head => $head, seen => 0, tail => '', tailed => 0 } } 'stdout.log', 'stderr.log']);
  my $failed = sub { record("F $id $attempt $_[0] $_[1]") };
  my ($e, $reports, @ends);
  if ($ledgerBytes > $LEDGER_MAX) {
    ledgerOpen();
    for my $old (values %jobs) { ledgerWrite("S $old->{id} $old->{attempt} $old->{pid} $old->{startTime}\n") unless $old->{ended} }
  }
  return $failed->($e, 'ledger') if ($e = ledgerWrite("P $id $attempt\n"));
  return $failed->($e, 'mkdir') if ($e = makeDir($dir));
  sysopen($j{home}, $dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW) or return $failed->($! + 0, 'mkdir');
  return $failed->($e, 'members.json') if $members ne '' && ($e = writeMembers(\%j, $members));
  $reports = createIn(\%j, 'reports.ndjson') or return $failed->($! + 0, 'reports.ndjson');
  fcntl($reports, F_SETFL, O_APPEND);
  for my $s (@{ $j{streams} }) {
    pipe(my $from, my $to) or return $failed->($! + 0, 'pipe');
    nonBlocking($from);
    $s->{pipe} = $from;
    push @ends, $to;
  }
  open(my $null, '<', '/dev/null') or return $failed->($! + 0, 'pipe');
  pipe(my $said, my $say) or return $failed->($! + 0, 'pipe');
  $j{startedAt} = $clock->();
  my $pid = fork;
  return $failed->($! + 0, 'fork') unless defined $pid;
  if (!$pid) {
    my $where = 'exec';
    $SIG{$_} = 'DEFAULT' for 'CHLD', 'PIPE', 'URG';
    POSIX::setsid();
    my @give = map { fileno $_ } $null, @ends, $reports;
    my $errno = 0;
    if (!chdir($linux ? inHome(\%j, '.') : $dir)) { ($errno, $where) = ($! + 0, 'chdir') }
    for my $fd (0 .. 3) { if (!$errno && !defined POSIX::dup2($give[$fd], $fd)) { ($errno, $where) = ($! + 0, 'dup') } }
    $errno ||= execute(\@argv, \@rest);
    syswrite($say, "$errno $where");
    POSIX::_exit(127);
  }
  close $say;
  close $_ for @ends, $reports, $null;
  my $why = '';
  while (!defined(sysread($said, $why, 64)) && $! == EINTR) {}
  if ($why ne '') { waitpid($pid, 0); return $failed->(split ' ', $why) }
  $j{pid} = $pid;
  ($j{startTime}) = startTime($pid);
  $jobs{"$id $attempt"} = $byPid{$pid} = \%j;
  $j{pool}{taken} += $slots;
  $j{pool}{running}++;
  record("S $id $attempt $pid $j{startTime}");
}

sub stop {
  my (undef, $id, $attempt, $graceMs) = @_;
  for my $waiting (map { $_->{waiting} } values %pools) {
    my ($at) = grep { $waiting->[$_][1] eq $id && $waiting->[$_][2] eq $attempt } 0 .. $#$waiting;
    if (defined $at) { splice @$waiting, $at, 1; record("F $id $attempt " . (ECANCELED + 0) . ' waiting'); return }
  }
  my $j = $jobs{"$id $attempt"} or return;
  return if $j->{stopping};
  $j->{stopping} = 1;
  $j->{killAt} = $clock->() + $graceMs / 1000;
  signalJob($j, 'TERM');
}

sub fits {
  my ($p, $slots) = @_;
  return !$p->{capacity} || !($p->{running} || $p->{elsewhere}) || $p->{taken} + $p->{elsewhere} + $slots <= $p->{capacity};
}

sub startWaiting {
  for my $p (values %pools) {
    my $waiting = $p->{waiting};
    run(@{ shift @$waiting }) while @$waiting && ($deaf || fits($p, $waiting->[0][6]));
  }
}

sub runOrWait {
  return if @_ < 10;
  my $p = poolNamed($_[8]);
  $p->{capacity} = $_[7];
  if (@{ $p->{waiting} } || !fits($p, $_[6])) { push @{ $p->{waiting} }, [@_] } else { run(@_) }
}

sub hear {
  my $n = sysread(STDIN, $in, $CHUNK, length $in);
  return if !defined $n && ($! == EAGAIN || $! == EINTR);
  if (!$n) { $stdinOpen = 0; $_->{elsewhere} = 0 for values %pools; return }
  if ($deaf) { $in = ''; return }
  while ($in =~ /\A(\d+)\n/) {
    my ($length, $from) = ($1, length($1) + 1);
    POSIX::_exit(71) if $length > $REQUEST_MAX;
    last if length($in) - $from < $length;
    my @field = split /\0/, substr($in, $from, $length), -1;
    pop @field;
    substr($in, 0, $from + $length) = '';
    runOrWait(@field) if $field[0] eq 'R';
    stop(@field) if $field[0] eq 'K';
    if ($field[0] eq 'W') { $out .= "W\n"; flushOut() }
    poolNamed($field[2])->{elsewhere} = $field[1] if $field[0] eq 'O';
  }
}

POSIX::setsid();
$SIG{PIPE} = 'IGNORE';
# Whatever OCPS had open without closing it at exec.
POSIX::close($_) for 3 .. 4095;
my @filled;
while (1) { open(my $f, '<', '/dev/null') or exit 74; push @filled, $f; last if fileno($f) >= 9 }
pipe(my $wake, my $wakeEnd) or exit 72;
nonBlocking($_) for $wake, $wakeEnd, *STDIN, *STDOUT;
binmode $_ for *STDIN, *STDOUT;
$SIG{CHLD} = sub { local $!; syswrite($wakeEnd, 'c') };
$SIG{URG} = sub { local $!; $deaf = 1; syswrite($wakeEnd, 'u') };
syscall($PRCTL, 36, 1, 0, 0, 0) if $linux && $PRCTL;
ledgerOpen();
$out = "H $$ $selfStart $bootId $ledgerFile\n";
while ($stdinOpen || %jobs || isAnyWaiting()) {
  flushOut();
  my ($read, $write, %streams) = ('', '');
  my ($now, $timeout) = ($clock->(), %jobs ? $LOOK : undef);
  vec($read, fileno $wake, 1) = 1;
  vec($read, 0, 1) = 1 if $stdinOpen;
  vec($write, 1, 1) = 1 if length $out;
  for my $j (values %jobs) {
    for my $s (@{ $j->{streams} }) { if ($s->{pipe}) { my $fd = fileno $s->{pipe}; vec($read, $fd, 1) = 1; $streams{$fd} = [$j, $s] } }
    next unless $j->{stopping};
    my $wait = $j->{ended} || $j->{proofAt} ? $RECHECK : $j->{killAt} - $now;
    $wait = 0 if $wait < 0;
    $timeout = $wait if $wait < $timeout;
  }
  my $ready = select(my $r = $read, my $w = $write, undef, $timeout);
  if ($ready > 0) { for my $fd (keys %streams) { drain(@{ $streams{$fd} }) if vec($r, $fd, 1) } }
  $now = $clock->();
  for my $j (my @all = values %jobs) { advance($j, $now) if $j->{stopping} }
  if ($ready > 0 && vec($r, fileno $wake, 1)) { sysread($wake, my $sink, 4096) }
  reap() if %jobs;
  if ($deaf && !$saidDeaf) { $saidDeaf = 1; record("Q $$ 0") }
  flushOut();
  startWaiting();
  if ($ready > 0 && $stdinOpen && vec($r, 0, 1)) { hear(); startWaiting() }
}
flushOut();
