package config

import (
	"path/filepath"
	"testing"
)

// What a value in a .env file comes to. Dollar signs are the trap: outside single
// quotes they stand for variables, of the file and of nothing else, so that a name
// without a value vanishes.
func TestValuesInAnEnvFile(t *testing.T) {
	for _, tt := range []struct{ name, line, want string }{
		{"plain", `OCTOSTORE_DB=a.db`, "a.db"},
		{"with blanks around", `OCTOSTORE_DB = a.db `, "a.db"},
		{"with a comment behind", `OCTOSTORE_DB=a.db # the file`, "a.db"},
		{"with a hash", `OCTOSTORE_DB=a#1.db`, "a#1.db"},
		{"exported", `export OCTOSTORE_DB=a.db`, "a.db"},
		{"in single quotes", `OCTOSTORE_DB='a b#.db'`, "a b#.db"},
		{"in double quotes", `OCTOSTORE_DB="a b#.db"`, "a b#.db"},

		{"a dollar sign in single quotes", `OCTOSTORE_DB='cost$5/$HOME/${HOME}.db'`, "cost$5/$HOME/${HOME}.db"},
		{"a dollar sign and a name", `OCTOSTORE_DB=a$HOME.db`, "a.db"},
		{"a dollar sign in double quotes", `OCTOSTORE_DB="a${HOME}b.db"`, "ab.db"},
		{"a dollar sign and a digit", `OCTOSTORE_DB=cost$5.db`, "cost.db"},
		{"a dollar sign and nothing", `OCTOSTORE_DB=cost$.db`, "cost$.db"},
		{"a dollar sign behind a backslash", `OCTOSTORE_DB=cost\$HOME.db`, "cost$HOME.db"},
		{"a variable of the file", "DIR=data\nOCTOSTORE_DB=$DIR/a.db", "data/a.db"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("HOME", "/home/somebody")
			path := filepath.Join(t.TempDir(), "x.env")
			write(t, path, tt.line+"\n")
			got, err := Load(Sources{Environ: []string{"HOME=/home/somebody"}, EnvFile: path})
			if err != nil {
				t.Fatal(err)
			}
			if string(got.DB) != tt.want {
				t.Errorf("%s gives %q, want %q", tt.line, got.DB, tt.want)
			}
		})
	}
}
