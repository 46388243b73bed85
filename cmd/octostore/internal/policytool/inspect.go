package policytool

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/octostore/octostore/hooks"
)

// Inspection describes a module that was not run.
type Inspection struct {
	Module    string     `json:"module"` // path
	SHA256    string     `json:"sha256"`
	Size      int        `json:"bytes"`
	Metered   int        `json:"metered_bytes,omitempty"`
	MemoryKiB int        `json:"memory_kib"`
	Exports   []Function `json:"exports"`
	Imports   []Function `json:"imports"`
	Loads     bool       `json:"loads"` // as far as can be said
	Refused   []string   `json:"refused,omitempty"`
}

// Function is an import or an export.
type Function struct {
	Module  string `json:"module,omitempty"`
	Name    string `json:"name"`
	Type    string `json:"type"`
	Offered *bool  `json:"offered,omitempty"` // of an import
}

// Inspect looks at a module and runs nothing of it.
func Inspect(ctx context.Context, module Module, limits Limits) (Inspection, error) {
	if err := limits.Check(); err != nil {
		return Inspection{}, err
	}
	found, err := hooks.Inspect(
		ctx,
		module.Binary,
		hooks.TrialConfig{MemoryMiB: limits.MemoryMiB, CacheDir: limits.CacheDir, Compile: limits.Compile},
	)
	if err != nil {
		return Inspection{}, err
	}
	in := Inspection{
		Module: module.Path, SHA256: found.Digest, Size: found.Size, Metered: found.Metered, MemoryKiB: found.MemoryKiB,
		Exports: []Function{}, Imports: []Function{}, Loads: len(found.Refused) == 0, Refused: found.Refused,
	}
	for _, f := range found.Exports {
		in.Exports = append(in.Exports, Function{Name: f.Name, Type: f.Type})
	}
	for _, f := range found.Imports {
		offered := !f.Unknown
		in.Imports = append(in.Imports, Function{Module: f.Module, Name: f.Name, Type: f.Type, Offered: &offered})
	}
	return in, nil
}

// Print writes the inspection for people.
func (in Inspection) Print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "module   %s\nsha256   %s\n", in.Module, in.SHA256)
	fmt.Fprintf(&b, "size     %d bytes", in.Size)
	if in.Metered > 0 {
		fmt.Fprintf(&b, ", %d with its meter", in.Metered)
	}
	b.WriteString("\nmemory   ")
	if in.MemoryKiB > 0 {
		fmt.Fprintf(&b, "%d KiB at its start\n", in.MemoryKiB)
	} else {
		b.WriteString("none is exported\n")
	}
	printFunctions(&b, "exports", in.Exports)
	printFunctions(&b, "imports", in.Imports)
	if in.Loads {
		b.WriteString("loads    yes, as far as can be said without running it\n")
	}
	for _, why := range in.Refused {
		fmt.Fprintf(&b, "refused  %s\n", why)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func printFunctions(b *strings.Builder, title string, all []Function) {
	if len(all) == 0 {
		fmt.Fprintf(b, "%-7s  no functions\n", title)
	}
	for _, f := range all {
		name := f.Name
		if f.Module != "" {
			name = f.Module + "." + name
		}
		fmt.Fprintf(b, "%-7s  %s %s\n", title, name, f.Type)
		title = ""
	}
}
