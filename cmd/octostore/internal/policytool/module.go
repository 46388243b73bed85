// Package policytool implements the policy commands: it tests one module with fixtures, single requests
// and recorded decisions, measures it and inspects it, outside of a server.
//
// It promises the same engine and the same limits as in a server.
package policytool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/octostore/octostore/hooks"
)

// Module is a file that holds a policy.
type Module struct {
	Path   string
	Binary []byte
}

// Limits are the limits of a module. Zero members mean the defaults of a manifest.
type Limits struct {
	Fuel      int64
	MemoryMiB int
	CacheDir  string         // of compiled modules; empty: none
	Compile   hooks.Compiler // nil: in this process
}

// ReadModule reads a module. It does not check the contents.
func ReadModule(path string) (Module, error) {
	binary, err := hooks.ReadModule(path)
	return Module{Path: path, Binary: binary}, err
}

// FindModule returns the path of the one .wasm file of a directory.
func FindModule(dir string) (string, error) {
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return "", err
	case !info.IsDir():
		return "", fmt.Errorf("%s is not a directory; a module is named with --module", dir)
	}
	found, err := filepath.Glob(filepath.Join(dir, "*.wasm"))
	switch {
	case err != nil:
		return "", err
	case len(found) == 0:
		return "", fmt.Errorf("%s has no .wasm file; build it, or name one with --module", dir)
	case len(found) > 1:
		return "", fmt.Errorf("%s has %d .wasm files; name one of them with --module", dir, len(found))
	}
	return found[0], nil
}

// Name is the default name of a policy with this module.
func (m Module) Name() string { return strings.TrimSuffix(filepath.Base(m.Path), ".wasm") }

// Check checks the limits.
func (l Limits) Check() error {
	var wrong []error
	if l.Fuel != 0 && (l.Fuel < hooks.MinFuel || l.Fuel > hooks.MaxFuel) {
		wrong = append(wrong, fmt.Errorf("fuel: is %d; want %d to %d", l.Fuel, hooks.MinFuel, hooks.MaxFuel))
	}
	if l.MemoryMiB < 0 || l.MemoryMiB > hooks.MaxMemoryMiB {
		wrong = append(wrong, fmt.Errorf("memory: is %d MiB; want 1 to %d", l.MemoryMiB, hooks.MaxMemoryMiB))
	}
	return errors.Join(wrong...)
}

func (m Module) open(ctx context.Context, l Limits) (*hooks.Trial, error) {
	if err := l.Check(); err != nil {
		return nil, err
	}
	t, err := hooks.OpenTrial(ctx, m.Binary, hooks.TrialConfig{
		Name: m.Name(), Fuel: l.Fuel, MemoryMiB: l.MemoryMiB, CacheDir: l.CacheDir, Compile: l.Compile,
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Path, err)
	}
	return t, nil
}
