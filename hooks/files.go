package hooks

import "github.com/octostore/octostore/hooks/internal/manifest"

// Files returns the files that a load of a manifest reads: the manifest, and the modules that
// it names at present. Of a manifest with mistakes that is the manifest alone.
func Files(path string) []string {
	all := []string{path}
	m, err := manifest.Read(path)
	if err != nil {
		return all
	}
	for i := range m.Policies {
		all = append(all, m.Policies[i].Module)
	}
	return all
}
