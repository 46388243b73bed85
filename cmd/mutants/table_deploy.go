package main

// deployMutants break what the server tells systemd and container runtimes about itself, and how
// it passes its sockets on.
var deployMutants = []mutant{
	{
		name: "watchdog-fed-whatever-happens", file: "cmd/octostore/internal/server/stop.go",
		old:    "	_, _, err := s.table.Queue(context.Background(), \"\", 0, 0)\n",
		new:    "	_, err := s.table.Get(\"a\"), error(nil)\n",
		breaks: "the watchdog is fed while a commit hangs, since reads are answered from memory",
		tests:  []string{"-run=WatchdogIsNotFed ./cmd/octostore/internal/server"},
	},
	{
		name: "watchdog-fed-after-a-failure", file: "cmd/octostore/internal/systemd/watchdog.go",
		old:    "		case err == nil && well:",
		new:    "		case well:",
		breaks: "the watchdog is fed although the check has failed",
		tests:  []string{"-run=Watchdog ./cmd/octostore/internal/systemd"},
	},
	{
		name: "sockets-given-back-late", file: "cmd/octostore/internal/server/stop.go",
		old:    "	s.sockets.Close()\n	s.accepting.Wait()",
		new:    "	s.accepting.Wait()",
		breaks: "a stop accepts connections to a socket of systemd that it does not answer",
		tests:  []string{"-run=SocketActivationRefusesNo -timeout=120s ./cmd/octostore/internal/deploy"},
	},
	{
		name: "sockets-of-other-names", file: "cmd/octostore/internal/systemd/sockets.go",
		old:    "	case *to != nil:",
		new:    "	case false:",
		breaks: "of two sockets with one name the first is forgotten, and its clients are never served",
		tests:  []string{"-run=SocketActivationRefusesWhat ./cmd/octostore/internal/deploy"},
	},
	{
		name: "reload-without-an-end", file: "cmd/octostore/internal/server/hangup.go",
		old:    "	defer func() { s.unit.Ready(s.status()) }()\n",
		new:    "",
		breaks: "systemd waits for the end of a reload for ever",
		tests:  []string{"-run=ServiceTellsSystemd ./cmd/octostore/internal/deploy"},
	},
	{
		name: "healthcheck-of-another-answer", file: "transport/client/client.go",
		old:    "	if h := healthOf(body); h.Status != api.OK {",
		new:    "	if h := healthOf(body); h.Status == api.Failing {",
		breaks: "a page of another program at the port counts as a healthy server",
		tests:  []string{"-run=HealthIsThatOfAnOctoStore ./transport/client"},
	},
}
