package main

// panelMutants break what the screens of the page depend on.
var panelMutants = []mutant{
	{
		name: "live-server-for-anyone", file: "transport/live.go",
		old:    "core.MayAll(x.principal, \"see the state of the server\", auth.Admin); err != nil {",
		new:    "core.MayAll(x.principal, \"see the state of the server\", auth.Policies); err != nil {",
		breaks: "an account that may read policies follows the settings of the server",
		tests:  []string{"-run=TestServerIsForAdministrators ./transport"},
	},
	{
		name: "live-server-unchanged", file: "transport/live.go",
		old:    "return frameOf(showServer, wire.JSON{Value: state}), true",
		new:    "return frameOf(showServer, wire.JSON{Value: state}), false",
		breaks: "the screen of the server waits for ever",
		tests:  []string{"-run=TestLiveShowsWhatTheRoutesGive ./transport"},
	},
}
