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
