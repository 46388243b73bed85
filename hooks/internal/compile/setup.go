package compile

// setup is a way to run modules, with the folder for their machine code.
type setup struct {
	engine    Engine
	dir       string // empty: there is no cache
	temporary bool   // dir is created, and removed at the end
}

// setups returns the ways to run modules, the best first.
func (cfg Config) setups() []setup {
	if err := MachineCodeMissing(); err != nil {
		cfg.Logger.Warn("policies are interpreted, which takes longer", "cause", err)
		return []setup{{engine: Interpreted}}
	}
	var all []setup
	if cfg.CacheDir != "" {
		all = append(all, setup{engine: Compiled, dir: cfg.CacheDir})
	}
	if cfg.Compile != nil {
		all = append(all, setup{engine: Compiled, temporary: true})
	} else {
		all = append(all, setup{engine: Compiled})
	}
	return append(all, setup{engine: Interpreted})
}

// consequence describes the disadvantage of a setup to the one before it, for the log.
func (p setup) consequence() string {
	switch {
	case p.engine == Interpreted:
		return "policies are interpreted, which takes longer"
	case p.temporary:
		return "compiled policies are kept until the process ends only"
	}
	return "compiled policies are not kept"
}
