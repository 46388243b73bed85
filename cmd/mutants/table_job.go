package main

// inJob runs real process trees and terminals.
var inJob = []string{"./cmd/octostore/internal/job"}

// processMutants break what octostore run promises about the processes of its command.
var processMutants = []mutant{
	{
		name: "job-leaves-strays", file: "cmd/octostore/internal/job/strays.go",
		old:    "		s.signal(m, syscall.SIGKILL)\n",
		new:    "		s.signal(m, syscall.SIGCONT)\n",
		breaks: "what the command runs by way of timeout or job control outlives the lease",
		tests:  inJob,
	},
	{
		name: "guard-forgets-strays", file: "cmd/octostore/internal/job/strays.go",
		old:    "	if found := outside(of, nil); of.leaderRuns() {",
		new:    "	if found := outside(of, nil); of.ID < 0 {",
		breaks: "what the command runs by way of timeout outlives a wrapper that is killed",
		tests:  inJob,
	},
	{
		name: "guard-misses-the-deadline", file: "cmd/octostore/internal/job/guard.go",
		old:    "	if s.Kill != 0 && now >= s.Kill {\n		s.announce()",
		new:    "	if false {\n		s.announce()",
		breaks: "a command that ignores SIGTERM outlives the lease if the wrapper is stopped",
		tests:  inJob,
	},
	{
		name: "guard-leaves-orphans", file: "cmd/octostore/internal/job/guard.go",
		old:    "		s.Kill = latest\n",
		new:    "",
		breaks: "a command that ignores SIGTERM runs on when the wrapper was killed",
		tests:  inJob,
	},
	{
		name: "guard-repeats-sigterm", file: "cmd/octostore/internal/job/loop.go",
		old:    "	if !w.guardMayEnd(now) || now >= w.lastMoment() {\n",
		new:    "	if true {\n",
		breaks: "a wrapper that was stopped sends SIGTERM again, and programs give up their cleaning",
		tests:  inJob,
	},
	{
		name: "guard-in-step", file: "cmd/octostore/internal/job/loop.go",
		old:    "now+boottime.Behind >= w.lastMoment()",
		new:    "now >= w.lastMoment()",
		breaks: "a wrapper whose clock is a few ms behind ends its guard, and processes outside the group go on without the lock",
		tests:  inJob,
	},
	{
		name: "guard-keeps-descriptors", file: "cmd/octostore/internal/job/watch.go",
		old:    "make([]*os.File, lastInherited()+1) // nil: closed",
		new:    "make([]*os.File, 3)",
		breaks: "the guard keeps files and pipes of the user open",
		tests:  inJob,
	},
	{
		name: "guard-not-replaced", file: "cmd/octostore/internal/job/loop.go",
		old:    "			w.guard = next\n			w.order()\n",
		new:    "			w.guard = next\n",
		breaks: "after the guard was killed nobody ends the command of a wrapper that is killed",
		tests:  inJob,
	},
	{
		name: "group-number-reused", file: "cmd/octostore/internal/job/group.go",
		old:    "g.Started != \"\" && p.started != g.Started",
		new:    "false && p.started != g.Started",
		breaks: "processes of somebody else are killed when the number of a group is used again",
		tests:  inJob,
	},
	{
		name: "background-runs-on", file: "cmd/octostore/internal/job/loop.go",
		old:    "	return w.group.running() == 0 && !w.strays.left()\n}\n\n// pause",
		new:    "	return !w.termed || w.group.running() == 0 && !w.strays.left()\n}\n\n// pause",
		breaks: "what a command leaves in the background goes on without the lock",
		tests:  inJob,
	},
	{
		name: "ignored-signals-forgotten", file: "cmd/octostore/internal/job/start.go",
		old:    "		signal.Ignore(sig) // which the command inherits\n",
		new:    "		_ = sig\n",
		breaks: "nohup octostore run ends with the terminal",
		tests:  inJob,
	},
	{
		name: "terminal-not-given-again", file: "cmd/octostore/internal/job/terminal.go",
		old:    "		w.tty.give(w.group.ID)\n",
		new:    "",
		breaks: "after ctrl-Z and fg the command is in the background",
		tests:  inJob,
	},
	{
		name: "terminal-not-taken-back", file: "cmd/octostore/internal/job/terminal.go",
		old:    "	w.tty.give(w.tty.own)\n	return true\n",
		new:    "	return true\n",
		breaks: "a script cannot read from the terminal after octostore run",
		tests:  inJob,
	},
	{
		name: "typed-interrupt-kept", file: "cmd/octostore/internal/job/terminal.go",
		old:    "		w.pretendTyped(ended)\n",
		new:    "",
		breaks: "a script goes on after ctrl-C",
		tests:  inJob,
	},
	{
		name: "interrupted-elsewhere-forgotten", file: "cmd/octostore/internal/job/terminal.go",
		old:    "ended != 0 && ended == w.typed",
		new:    "false",
		breaks: "a script goes on after ctrl-C if its command does not read from the terminal",
		tests:  inJob,
	},
	{
		name: "parent-death-unnoticed", file: "cmd/octostore/internal/job/attributes_linux.go",
		old:    ", Pdeathsig: syscall.SIGTERM",
		new:    "",
		breaks: "a command runs on when its wrapper and its guard were killed",
		tests:  inJob,
	},
}

// runMutants break what octostore run promises to its command and to scripts.
var runMutants = []mutant{
	{
		name: "run-doubtful-success", file: "cmd/octostore/internal/runner/hold.go",
		old:    "	if over && end.Code == 0 {",
		new:    "	if over && end.Code == 0 && false {",
		breaks: "a command that was not alone to its end is reported as a success",
		tests:  []string{"-run=TestRunKeepsTheStatusOfACommandWhoseLeaseIsOver ./cmd/octostore/internal/runs"},
	},
	{
		name: "run-first-deadline", file: "cmd/octostore/internal/runner/hold.go",
		old:    "				j.SetDeadline(h.deadline())\n			case <-gone:",
		new:    "			case <-gone:",
		breaks: "a command is ended at the end of its first lease, although that was renewed",
		tests:  []string{"-run=TestRunWhoseWordsAreNotRead ./cmd/octostore/internal/runs"},
	},
	{
		name: "run-no-room", file: "cmd/octostore/internal/runner/room.go",
		old:    "return ttl-ttl/3 > killAfter+reserve",
		new:    "return ttl > killAfter+reserve",
		breaks: "a lease that one failed renewal ends is good enough for a command",
		tests:  []string{"-run=TestRunRoomOfALease ./cmd/octostore/internal/runner"},
	},
	{
		name: "run-eats-flags", file: "cmd/octostore/run.go",
		old:    "	flags.SetInterspersed(false)",
		new:    "	flags.SetInterspersed(true)",
		breaks: "flags of the command are taken for those of octostore run",
		tests:  []string{"-run=TestRunUnlikeConsulLockLeavesTheCommandItsFlags ./cmd/octostore/internal/runs"},
	},
	{
		name: "run-shared-lease-id", file: "cmd/octostore/internal/runner/environ.go",
		old:    "0o600)",
		new:    "0o644)",
		breaks: "the file with the lease id can be read by others",
		tests:  []string{"-run=TestRunExposesTheLeaseIfAsked ./cmd/octostore/internal/runs"},
	},
	{
		name: "run-survives-its-signal", file: "cmd/octostore/internal/runner/signals_unix.go",
		old:    "	if syscall.Kill(os.Getpid(), number) == nil {",
		new:    "	if number == 0 {",
		breaks: "a shell that runs octostore in a loop goes on after ctrl-C",
		tests:  []string{"-run=TestRunLeavesTheQueueAtASignal ./cmd/octostore/internal/runs"},
	},
	{
		name: "run-outer-lease", file: "cmd/octostore/internal/runner/environ.go",
		old:    "|| name == envLeaseID",
		new:    "",
		breaks: "a command in a run within a run sees the lease id of the outer one",
		tests:  []string{"-run=TestRunWithinARun ./cmd/octostore/internal/runs"},
	},
	{
		name: "run-line-wraps", file: "cmd/octostore/internal/runner/events.go",
		old:    "clip(text, l.width()-1)",
		new:    "clip(text, l.width()+80)",
		breaks: "the living line wraps, and fills the terminal",
		tests:  []string{"-run=TestRunLivingLine ./cmd/octostore/internal/runner"},
	},
	{
		name: "run-ends-with-its-reader", file: "cmd/octostore/main.go",
		old:    "		signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)\n",
		new:    "",
		breaks: "a reader of the standard error that leaves ends octostore run, and its command",
		tests:  []string{"-run=TestRunWhoseWordsHaveNoReader ./cmd/octostore/internal/runs"},
	},
	{
		name: "run-starts-too-late", file: "cmd/octostore/internal/runner/hold.go",
		old:    "lost.Err() != nil || h.lease.Left() <= c.KillAfter+margin {",
		new:    "lost == nil {",
		breaks: "a command starts without its lease if the machine was suspended just before",
		tests:  []string{"-run=TestRunDoesNotStartWithALeaseThatIsOver ./cmd/octostore/internal/runner"},
	},
}
