// Package version knows the version of this binary and of what it is built with.
package version

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// linked is set by the linker in builds made with make.
var linked = "dev"

// sqliteModule holds the SQLite this binary is built with.
const sqliteModule = "modernc.org/sqlite"

// Own returns the version of OctoStore: the one that the linker was told, or else the one
// that go install knows.
func Own() string {
	info, known := debug.ReadBuildInfo()
	if linked == "dev" && known && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return linked
}

// SQLite returns the version of the module that holds SQLite, empty if it is not known.
func SQLite() string {
	info, known := debug.ReadBuildInfo()
	if !known {
		return ""
	}
	for _, module := range info.Deps {
		if module.Path == sqliteModule {
			return module.Version
		}
	}
	return ""
}

// Text returns all versions for people, a line each.
func Text() string {
	return fmt.Sprintf("octostore %s\n%s\n%s %s\n", Own(), runtime.Version(), sqliteModule, SQLite())
}
