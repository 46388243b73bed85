// Package guest runs the WebAssembly modules of policies: it starts instances, calls them with requests
// and events, and implements the host functions that they import.
//
// It promises that guests have no capabilities: no files, no sockets, no clock but the request's; that
// a call ends when its fuel is used up, which host functions use as well; that the host keeps nothing
// of a request in an instance.
package guest

import (
	"encoding/json"
	"sync/atomic"

	"github.com/tetratelabs/wazero"

	"github.com/octostore/octostore/hooks/internal/manifest"
)

// Program is a compiled module with the settings of its policy. Instances are made of it.
type Program struct {
	manifest.Policy
	Runtime       wazero.Runtime
	Compiled      wazero.CompiledModule
	MayReadConfig bool // with the getter; see [MayReadConfig]
	Zones         *Zones
	Lines         LogLines                       // log lines of its instances
	Heard         func(level int32, text string) // takes the log lines of starts in a trial; nil: Lines takes them
	Memory        atomic.Int64                   // of all its instances, in bytes

	config string // as the manifest has it
}

// Configure sets the configuration of new instances.
func (p *Program) Configure(config json.RawMessage) { p.Config, p.config = config, string(config) }
