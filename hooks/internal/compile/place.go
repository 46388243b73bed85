package compile

// place is a way to run policies, and where their machine code is kept.
type place struct {
	engine    Engine
	dir       string // empty: nothing is kept
	temporary bool   // dir is made, and removed at the end
}

// places returns the ways to run policies, the best first.
func (cfg Config) places() []place {
	if err := MachineCodeMissing(); err != nil {
		cfg.Logger.Warn("policies are interpreted, which takes longer", "cause", err)
		return []place{{engine: Interpreted}}
	}
	var all []place
	if cfg.CacheDir != "" {
		all = append(all, place{engine: Compiled, dir: cfg.CacheDir})
	}
	if cfg.Compile != nil {
		all = append(all, place{engine: Compiled, temporary: true})
	} else {
		all = append(all, place{engine: Compiled})
	}
	return append(all, place{engine: Interpreted})
}

// consequence says what it means that policies run in this place, since the one before it
// cannot be used.
func (p place) consequence() string {
	switch {
	case p.engine == Interpreted:
		return "policies are interpreted, which takes longer"
	case p.temporary:
		return "compiled policies are kept until the process ends only"
	}
	return "compiled policies are not kept"
}
