package main

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
