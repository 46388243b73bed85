package scaffold

import (
	"fmt"
	"slices"
	"strings"
)

// language is one that a new policy can be written in.
type language struct {
	name  string // of the flag --lang, and of its folder of templates
	title string
	// source is the example that the policy begins as, by its path among the examples, and
	// file what it is called in the new folder; empty in Go, whose templates are complete.
	source, file string
	tools        string // that are needed, the end of a sentence
	npm          bool   // the compiler is an npm package
}

const npmTools = "Node.js with `npm`, which installs the compiler with the first `make`."

var languages = []language{
	{name: "go", title: "Go"},
	{
		name: "rust", title: "Rust", source: "rust/ticket.rs", file: "policy.rs",
		tools: "`rustc` with the target that\n`rustup target add wasm32-unknown-unknown` installs. The policy does without the standard library.",
	},
	{
		name: "c", title: "C", source: "c/ticket.c", file: "policy.c",
		tools: "`clang` 14 or newer with its linker\n(`wasm-ld`; in Debian the packages `clang` and `lld`). The policy does without a C library.",
	},
	{
		name: "assemblyscript", title: "AssemblyScript", source: "assemblyscript/ticket.ts", file: "policy.ts",
		tools: npmTools, npm: true,
	},
	{name: "wat", title: "the text form of WebAssembly", source: "wat/ticket.wat", file: "policy.wat", tools: npmTools, npm: true},
}

// Languages returns the names of the languages that [New] knows, Go first.
func Languages() []string {
	var all []string
	for _, l := range languages {
		all = append(all, l.name)
	}
	return all
}

func languageNamed(name string) (language, error) {
	i := slices.IndexFunc(languages, func(l language) bool { return l.name == name })
	if i < 0 {
		return language{}, fmt.Errorf("%q is not a known language; want %s", name, strings.Join(Languages(), ", "))
	}
	return languages[i], nil
}
