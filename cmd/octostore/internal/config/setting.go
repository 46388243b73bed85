package config

import (
	"fmt"
	"reflect"
	"strings"
)

// Setting is one row of the table of settings.
type Setting struct {
	Name    string // of the variable
	Default string
	Want    string // what a right value looks like
	Doc     string // what it means
	Secret  bool   // its value is not to be shown

	field string // of Config
}

// prefix is that of every variable that is meant for OctoStore.
const prefix = "OCTOSTORE_"

// clientVariables are read by commands that ask a server, or are set by octostore run and
// octostore acquire. They are no settings of a server, but known.
var clientVariables = []string{
	"OCTOSTORE_URL", "OCTOSTORE_TOKEN", "OCTOSTORE_TOKEN_FILE", "OCTOSTORE_CA_FILE", "OCTOSTORE_PROFILE", "OCTOSTORE_TIMEOUT",
	"OCTOSTORE_LOCK", "OCTOSTORE_FENCING_TOKEN", "OCTOSTORE_LEASE_ID", "OCTOSTORE_LEASE_ID_FILE", "OCTOSTORE_WAITED_MS",
}

// Settings returns the table of settings, in the order people read it.
func Settings() []Setting {
	var all []Setting
	for field := range reflect.TypeFor[Config]().Fields() {
		all = append(all, Setting{
			Name:    field.Tag.Get("env"),
			Default: field.Tag.Get("envDefault"),
			Want:    field.Tag.Get("want"),
			Doc:     field.Tag.Get("doc"),
			Secret:  field.Tag.Get("secret") != "",
			field:   field.Name,
		})
	}
	return all
}

// Markdown returns the table of settings for documentation.
func Markdown() string {
	var b strings.Builder
	b.WriteString("| setting | default | value | what it does |\n|---|---|---|---|\n")
	for _, s := range Settings() {
		fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s |\n", s.Name, s.Default, s.Want, s.Doc)
	}
	return b.String()
}

// Example returns a .env file with every setting at its default, commented out.
func Example() string {
	var b strings.Builder
	b.WriteString("# Settings of octostore. Copy this file to .env in the working directory and\n" +
		"# uncomment what you change; variables of the environment win over it.\n" +
		"# Durations are like 90s, 5m, 1h30m and 30d, or a number of seconds.\n" +
		"# A value with a $ or a # in it belongs in single quotes, such as 'cost$5.db':\n" +
		"# elsewhere $NAME is the value of NAME in this file, and nothing if it has none.\n")
	for _, s := range Settings() {
		fmt.Fprintf(&b, "\n%s%s#%s=%s\n", comment(s.Doc), comment("Takes "+s.Want+"."), s.Name, s.Default)
	}
	return b.String()
}

// comment returns text as lines of a comment, none much longer than a terminal is
// wide.
func comment(text string) string {
	const width = 80
	var b strings.Builder
	line := "#"
	for _, word := range strings.Fields(text) {
		if len(line)+1+len(word) > width {
			b.WriteString(line + "\n")
			line = "#"
		}
		line += " " + word
	}
	b.WriteString(line + "\n")
	return b.String()
}
