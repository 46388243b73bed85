package main

// Tests of live streams, of the activity, and of listings by waiting.
var (
	inLive     = []string{"-run=TestLive|TestActivity ./transport"}
	inFeeds    = []string{"./transport/internal/live"}
	inActivity = []string{"./transport/internal/activity"}
)

// liveMutants break what pages and terminals are shown as it goes on.
var liveMutants = []mutant{
	{
		name: "live-queue-behind-the-page", file: "transport/live.go",
		old:    "begun && view.Waiters == len(view.Queue) && sameView",
		new:    "begun && sameView",
		breaks: "a live view of a lock keeps showing a waiter behind the first page that has left",
		tests:  inTransport,
	},
	{
		name: "live-held-never-the-same", file: "transport/live.go",
		old:    "sameLease(a.Lease, b.Lease)",
		new:    "a.Lease == b.Lease",
		breaks: "every stream sends every held lock again with any change of any lock",
		tests:  inTransport,
	},
	{
		name: "live-shared-with-all", file: "transport/live.go",
		old:    "	return p.Scopes()\n",
		new:    "	return \"\"\n",
		breaks: "streams of accounts that may read other locks share a view",
		tests:  inLive,
	},
	{
		name: "activity-names-all", file: "transport/live.go",
		old:    "	if p.MayAll(auth.Read) {\n		visible = nil",
		new:    "	if true {\n		visible = nil",
		breaks: "the busiest locks are named to accounts that may not read them",
		tests:  inLive,
	},
	{
		name: "live-outlives-token", file: "transport/live.go",
		old:    "	defer x.endWithToken()()\n",
		new:    "",
		breaks: "a live stream goes on after its token was revoked",
		tests:  inLive,
	},
	{
		name: "live-repeats-activity", file: "transport/internal/live/live.go",
		old:    "	case f.frame.Before:\n		return f.frame.Event\n",
		new:    "",
		breaks: "each stream has the steps of the activity rendered for itself",
		tests:  inFeeds,
	},
	{
		name: "live-unpaced", file: "transport/internal/live/live.go",
		old:    "!last.IsZero() && wait > 0 {",
		new:    "false && wait > 0 {",
		breaks: "a view is rendered ten times a second",
		tests:  inFeeds,
	},
	{
		name: "live-misses-the-last", file: "transport/internal/live/live.go",
		old:    "	if r.read == f.number {\n",
		new:    "	if r.read != 0 && r.read+1 != f.number {\n",
		breaks: "a reader that was slow is not shown what has changed since",
		tests:  inFeeds,
	},
	{
		name: "live-looks-without-rest", file: "transport/internal/live/live.go",
		old:    "max(tick, share*took*time.Duration(h.Feeds()))",
		new:    "max(tick, share*took)",
		breaks: "feeds that search very many locks in vain take all processors",
		tests:  inFeeds,
	},
	{
		name: "activity-believes-metadata", file: "transport/internal/activity/spans.go",
		old:    "		has = len(line) > 0 && '0' <= line[0] && line[0] <= '9'\n",
		new:    "",
		breaks: "metadata of a client count as the time of a wait",
		tests:  inActivity,
	},
	{
		name: "busiest-unbounded", file: "transport/internal/activity/busiest.go",
		old:    "	case len(c.heap) < namesPerWindow:\n",
		new:    "	case true:\n",
		breaks: "the memory of the activity grows with the names of locks",
		tests:  inActivity,
	},
	{
		name: "activity-after-the-clock", file: "transport/internal/activity/activity.go",
		old:    "	if n := len(r.buckets); n > 0 && !b.At.After",
		new:    "	if n := len(r.buckets); n > 1<<20 && !b.At.After",
		breaks: "after the clock was set back the steps of the activity are not in order",
		tests:  inActivity,
	},
	{
		name: "waited-index-stale", file: "core/table/views_waited.go",
		old:    "		x.byWait.Delete(old)\n",
		new:    "",
		breaks: "a lock is listed with waits that are over",
		tests:  inTable,
	},
	{
		name: "handover-of-another-lock", file: "core/table/stats_handovers.go",
		old:    "e.Kind.Ends() && e.Lease.Name == name {\n			t.handovers",
		new:    "e.Kind.Ends() {\n			t.handovers",
		breaks: "a hand-over is measured from the end of a lease of another lock",
		tests:  inTable,
	},
}

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
