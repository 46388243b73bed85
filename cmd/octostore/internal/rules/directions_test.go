package rules_test

// directions says which of our packages each of our packages may import. Outside
// knows inside, neighbours do not know each other, only cmd knows all. A star stands
// for one segment of a path, "..." for everything below. The first row that matches
// counts; a package without a row may not exist.
var directions = []struct{ pkg, imports string }{
	{"cmd/octostore", "..."},
	{"cmd/mutants", ""},
	{"cmd/octostore/internal/audittool", "cmd/octostore/internal/exitcode cmd/octostore/internal/filelock cmd/octostore/internal/terminal cmd/octostore/internal/text " +
		"core/files core/journal/archive core/journal/record core/journal/verify core/lock core/sleep core/store/content transport/api transport/client"},
	{"cmd/octostore/internal/backuptool", "cmd/octostore/internal/exitcode cmd/octostore/internal/terminal cmd/octostore/internal/text " +
		"core/files core/journal/record core/journal/verify core/lock core/sleep core/store/sqlite transport/client"},
	{"cmd/octostore/internal/bench", "cmd/octostore/internal/bench/internal/* cmd/octostore/internal/child " +
		"core/auth core/sleep"},
	{"cmd/octostore/internal/bench/internal/*", "cmd/octostore/internal/bench/internal/usage"},
	{"cmd/octostore/internal/child", ""},
	{"cmd/octostore/internal/clustertool", "cmd/octostore/internal/text core/sleep transport/api"},
	{"cmd/octostore/internal/compiler", "hooks"},
	{"cmd/octostore/internal/config", "core/files core/lock core/timetext transport/login"},
	{"cmd/octostore/internal/demo", "cmd/octostore/internal/child core/journal/record core/journal/verify core/sleep transport/api transport/client"},
	{"cmd/octostore/internal/deploy", ""},
	{"cmd/octostore/internal/doctor", "cmd/octostore/internal/compiler cmd/octostore/internal/config cmd/octostore/internal/preflight cmd/octostore/internal/session cmd/octostore/internal/terminal cmd/octostore/internal/text " +
		"core/auth core/files core/journal/archive core/journal/record core/journal/verify core/lock core/store/content core/store/etcd core/store/sqlite hooks"},
	{"cmd/octostore/internal/documents", ""},
	{"cmd/octostore/internal/examples", ""},
	{"cmd/octostore/internal/exitcode", "transport/api"},
	{"cmd/octostore/internal/clusters", ""},
	{"cmd/octostore/internal/faults", ""},
	{"cmd/octostore/internal/filelimit", ""},
	{"cmd/octostore/internal/filewatch", ""},
	{"cmd/octostore/internal/filelock", ""},
	{"cmd/octostore/internal/locktool", "cmd/octostore/internal/exitcode cmd/octostore/internal/terminal cmd/octostore/internal/text core/files core/journal/record core/lock core/sleep transport/api transport/client"},
	{"cmd/octostore/internal/octotest", "cmd/octostore/internal/filelock hooks/wasmtest transport/api transport/login/logintest"},
	{"cmd/octostore/internal/octotest/httplocktest", "core/lock/locktest transport/api"},
	{"cmd/octostore/internal/job", "core/boottime"},
	{"cmd/octostore/internal/manpages", "cmd/octostore/internal/config cmd/octostore/internal/exitcode cmd/octostore/internal/version"},
	{"cmd/octostore/internal/mcpserver", "transport/api transport/client"},
	{"cmd/octostore/internal/offline", "core/auth core/journal core/lock core/store/etcd core/store/sqlite core/table transport transport/api transport/client"},
	{"cmd/octostore/internal/policybuilds", ""},
	{"cmd/octostore/internal/policytool", "cmd/octostore/internal/policytool/fixture core core/journal/record core/lock core/pattern hooks hooks/abi"},
	{"cmd/octostore/internal/policytool/fixture", "core core/files core/journal/record core/jsontext core/lock core/timetext hooks hooks/abi"},
	{"cmd/octostore/internal/policytool/scaffold", ""},
	{"cmd/octostore/internal/preflight", "cmd/octostore/internal/config cmd/octostore/internal/version core/auth core/files core/journal/archive core/store/etcd core/store/sqlite transport/login"},
	{"cmd/octostore/internal/recipes", ""},
	{"cmd/octostore/internal/rules", ""},
	{"cmd/octostore/internal/runner", "cmd/octostore/internal/exitcode cmd/octostore/internal/job cmd/octostore/internal/terminal core/boottime transport/api transport/client"},
	{"cmd/octostore/internal/runs", ""},
	{"cmd/octostore/internal/scripts", ""},
	{"cmd/octostore/internal/server", "cmd/octostore/internal/compiler cmd/octostore/internal/config cmd/octostore/internal/filelimit cmd/octostore/internal/filewatch cmd/octostore/internal/preflight cmd/octostore/internal/systemd cmd/octostore/internal/terminal cmd/octostore/internal/tracing cmd/octostore/internal/version " +
		"core core/auth core/input core/journal core/journal/archive core/journal/record core/lock core/sleep core/store/etcd core/store/sqlite core/table hooks transport transport/api transport/forward transport/login transport/standby"},
	{"cmd/octostore/internal/session", "cmd/octostore/internal/exitcode cmd/octostore/internal/filelock cmd/octostore/internal/text core/files core/timetext transport/api transport/client"},
	{"cmd/octostore/internal/storetool", "cmd/octostore/internal/config cmd/octostore/internal/exitcode cmd/octostore/internal/preflight cmd/octostore/internal/terminal cmd/octostore/internal/text " +
		"core/auth core/journal/record core/journal/verify core/lock core/store/content core/store/etcd core/store/sqlite"},
	{"cmd/octostore/internal/stories", ""},
	{"cmd/octostore/internal/systemd", ""},
	{"cmd/octostore/internal/terminal", ""},
	{"cmd/octostore/internal/text", "cmd/octostore/internal/terminal transport/api"},
	{"cmd/octostore/internal/tracing", "core core/sparselog core/table hooks transport"},
	{"cmd/octostore/internal/top", "cmd/octostore/internal/terminal cmd/octostore/internal/text core/sleep transport/api transport/client"},
	{"cmd/octostore/internal/version", ""},
	{"transport", "transport/api transport/forward transport/problem transport/login transport/internal/* core core/input core/lock core/table core/auth core/journal core/journal/record core/sparselog core/timetext core/sleep"},
	{"transport/forward", "transport/api transport/problem transport/internal/conn transport/internal/param transport/internal/wire core/lock core/sparselog"},
	{"transport/internal/activity", "transport/api core/journal core/journal/record core/lock core/table"},
	{"transport/internal/lane", ""},
	{"transport/internal/live", ""},
	{"transport/internal/conn", "core/sparselog"},
	{"transport/internal/limit", "transport/problem core/auth"},
	{"transport/internal/metrics", "transport/api transport/problem core core/journal core/lock core/table"},
	{"transport/internal/ui", ""},
	{"transport/internal/param", "transport/api transport/problem core/auth core/input core/journal core/journal/record core/jsontext core/lock core/table core/timetext"},
	{"transport/internal/proxy", ""},
	{"transport/internal/span", ""},
	{"transport/internal/wire", "transport/api transport/problem core/lock core/table"},
	{"transport/standby", "core/sleep transport/api transport/forward transport/internal/wire"},
	{"transport/problem", "transport/api transport/login core core/input core/lock core/auth core/journal core/journal/record"},
	{"transport/login", "core/auth core/input core/lock core/sparselog"},
	{"transport/login/logintest", ""},
	{"transport/client", "transport/api core/boottime"},
	{"transport/api", ""},
	{"hooks", "hooks/abi hooks/internal/compile hooks/internal/guest hooks/internal/manifest hooks/meter core core/files core/lock core/journal core/journal/record core/pattern core/sparselog core/sleep"},
	{"hooks/internal/compile", "core/files hooks/internal/manifest"},
	{"hooks/internal/guest", "hooks/abi hooks/internal/manifest hooks/internal/memory hooks/meter core core/journal/record core/lock"},
	{"hooks/internal/manifest", "hooks/abi core core/files core/input core/jsontext core/lock core/pattern"},
	{"hooks/internal/memory", ""},
	{"hooks/abi", ""},
	{"hooks/meter", ""},
	{"hooks/wasmtest", ""},
	{"plugins", ""},
	{"plugins/guest", "plugins/guest/internal/host plugins/guest/internal/scan"},
	{"plugins/guest/internal/*", ""},
	{"plugins/guest/strict", "plugins/guest/internal/scan"},
	{"plugins/guest/expr", "plugins/guest/strict"},
	{"plugins/guest/guesttest", "plugins/guest plugins/guest/internal/host"},
	{"plugins/*", "plugins/guest plugins/guest/expr plugins/guest/strict"},
	{"sdk-examples/locks/go", "transport/client"},
	{"sdk-examples/policies", ""},
	{"sdk-examples/policies/go", "plugins/guest"},
	{"core", "core/input core/lock core/table core/auth core/journal core/sleep"},
	{"core/journal", "core/lock core/journal/record core/sleep core/wallclock"},
	{"core/journal/archive", "core/lock core/journal core/journal/record core/journal/verify"},
	{"core/journal/record", "core/lock"},
	{"core/journal/verify", "core/lock core/journal/record"},
	{"core/journal/journaltest", "core/lock core/journal core/store/memory"},
	{"core/auth", "core/files core/input core/lock core/pattern core/sleep core/wallclock"},
	{"core/files", ""},
	{"core/jsontext", ""},
	{"core/pattern", "core/lock"},
	{"core/timetext", ""},
	{"core/store/sqlite", "core/files core/lock core/auth core/journal core/store/content core/store/sqlite/internal/* core/sleep"},
	{"core/store/sqlite/internal/conn", ""},
	{"core/store/sqlite/internal/dbfile", "core/files core/store/sqlite/internal/host"},
	{"core/store/sqlite/internal/host", "core/files"},
	{"core/store/sqlite/internal/rows", "core/lock core/auth core/journal core/store/sqlite/internal/conn core/store/sqlite/internal/dbfile core/store/sqlite/internal/host"},
	{"core/store/etcd", "core/auth core/journal core/lock core/sleep core/sparselog core/store/content core/store/etcd/internal/*"},
	{"core/store/etcd/internal/dial", "core/sleep"},
	{"core/store/etcd/internal/lease", "core/boottime core/sleep"},
	{"core/store/content", "core/auth core/journal core/lock"},
	{"core/store/etcd/etcdtest", ""},
	{"core/store/*", "core/files core/lock core/auth core/journal"},
	{"core/boottime", ""},
	{"core/sleep", ""},
	{"core/wallclock", ""},
	{"core/sparselog", ""},
	{"core/input", ""},
	{"core/lock", "core/input"},
	{"core/table", "core/lock"},
	{"core/lock/locktest", ""},
}

// modules says where the packages of others may be imported, so that each of them
// can be exchanged in one place. One without a row may not be imported at all.
var modules = []struct{ prefix, in string }{
	{"github.com/julienschmidt/httprouter", "transport cmd/octostore/internal/bench/internal/ceiling"}, // bench: its yardstick is built of the same parts
	{"github.com/prometheus", "transport/internal/metrics"},
	{"github.com/tetratelabs/wazero", "hooks hooks/internal/compile hooks/internal/guest"},
	{"modernc.org", "core/store/sqlite/internal/conn"},
	{"github.com/tidwall/btree", "core/lock core/table"},
	{"github.com/caarlos0/env/v11", "cmd/octostore/internal/config"},
	{"github.com/joho/godotenv", "cmd/octostore/internal/config"},
	{"github.com/lmittmann/tint", "cmd/octostore/internal/server"},
	{"github.com/spf13", "cmd/octostore cmd/octostore/internal/manpages"},
	{"github.com/modelcontextprotocol/go-sdk", "cmd/octostore/internal/mcpserver"},
	{"github.com/coreos/go-systemd/v22", "cmd/octostore/internal/systemd"},
	{"go.opentelemetry.io", "cmd/octostore/internal/tracing"},
	{"github.com/go-logr/logr", "cmd/octostore/internal/tracing"}, // the type of OpenTelemetry's own log
	{"golang.org/x/oauth2", "transport/login"},
	{"golang.org/x/term", "cmd/octostore/internal/terminal"},
	{"golang.org/x/sys", "core/journal/archive core/store/etcd/internal/lease core/store/sqlite/internal/host cmd/octostore/internal/filelock cmd/octostore/internal/job cmd/octostore/internal/octotest"},
	{"github.com/HdrHistogram/hdrhistogram-go", "cmd/octostore/internal/bench"},
	{"golang.org/x/net/http2", "cmd/octostore/internal/bench/internal/peer"},                        // frames and headers for etcd's gRPC
	{"google.golang.org/protobuf/encoding/protowire", "cmd/octostore/internal/bench/internal/peer"}, // its messages
	{"github.com/google/go-cmp", "core/store/storetest"},
	{"pgregory.net/rapid", "core/store/storetest"},
	{"github.com/anishathalye/porcupine", "core/lock/locktest"},
	{"go.etcd.io/etcd", "core/store/etcd core/store/etcd/internal/dial core/store/etcd/internal/lease core/store/etcd/etcdtest"},
	{"google.golang.org/grpc", "core/store/etcd core/store/etcd/internal/dial core/store/etcd/etcdtest"}, // status codes of etcd's answers
	{"go.uber.org/zap", "core/store/etcd/internal/dial"},                                                 // the type of the logger of etcd's client
	{"go.uber.org/goleak", "cmd/octostore/internal/octotest"},
}

// banned are parts of the standard library that the core does without: it knows
// neither HTTP nor SQL.
var banned = []struct{ path, in string }{
	{"net/http", "core core/input core/lock core/table core/journal core/journal/archive core/journal/record core/journal/verify core/auth core/pattern core/timetext"},
	{"database/sql", "core core/input core/lock core/table core/journal core/journal/archive core/journal/record core/journal/verify core/auth core/pattern core/timetext"},
}

// trees says which trees the tests of a tree may use besides their own: those
// inside of it.
var trees = map[string]string{
	"core":      "",
	"hooks":     "core plugins",
	"plugins":   "core hooks",
	"transport": "core",
	"cmd":       "core hooks plugins sdk-examples transport",
}
