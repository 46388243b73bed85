package main

// pageMutants open the page to others, or keep browsers out.
var pageMutants = []mutant{
	{
		name: "page-for-curl", file: "transport/internal/ui/ui.go",
		old:    `return quality(accept, "text/html") > quality(accept, "text/plain")`,
		new:    `return quality(accept, "text/html") >= quality(accept, "text/plain")`,
		breaks: "curl gets the page instead of the text that explains the API",
		tests:  []string{"-run=PageIsForBrowsersOnly ./transport"},
	},
	{
		name: "page-in-frames", file: "transport/internal/ui/ui.go",
		old:    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'\"",
		new:    "base-uri 'none'; form-action 'self'\"",
		breaks: "another site shows the page in a frame, and has its users click",
		tests:  []string{"-run=PageIsForBrowsersOnly ./transport"},
	},
	{
		name: "page-base-unescaped", file: "transport/internal/ui/ui.go",
		old:    `"{{version}}", html.EscapeString(p.Version),`,
		new:    `"{{version}}", p.Version,`,
		breaks: "what is filled into the page can become markup",
		tests:  []string{"-run=PageNamesItsFiles ./transport/internal/ui"},
	},
	{
		name: "page-assets-unlimited", file: "transport/admission.go",
		old:    "		return l.Asset(x.r.RemoteAddr, x.started)\n",
		new:    "		return nil\n",
		breaks: "requests for files of the page count nowhere",
		tests:  []string{"-run=PageLoadsWithinTheLimit ./transport"},
	},
	{
		name: "page-assets-use-up-the-limit", file: "transport/internal/limit/limit.go",
		old:    "return l.address(&l.assets, AssetsPerRequest, remote, at)",
		new:    "return l.address(&l.addresses, 1, remote, at)",
		breaks: "a browser that loads the page cannot log in for a while",
		tests:  []string{"-run=PageLoadsWithinTheLimit ./transport"},
	},
	{
		name: "page-keeps-old-files", file: "transport/internal/ui/ui.go",
		old:    "if rest, ok := strings.CutPrefix(name, s.hash+\"/\"); ok {",
		new:    "if _, rest, ok := strings.Cut(name, \"/\"); ok {",
		breaks: "a browser keeps files for a year under the hash of another server",
		tests:  []string{"-run=PageFilesMayBeKept ./transport/internal/ui"},
	},
}

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
