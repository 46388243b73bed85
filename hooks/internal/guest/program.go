// Package guest runs the WebAssembly of policies: it makes instances of a module, puts requests and
// events to them, and is what they may import.
//
// It promises that guests have no capabilities: no files, no sockets, no clock but the request's;
// that a call ends when its fuel is used up, and that what the host does for a guest takes fuel
// as well; that an instance keeps nothing of a request on the host's side.
package guest

import (
	"encoding/json"
	"sync/atomic"

	"github.com/tetratelabs/wazero"

	"github.com/octostore/octostore/hooks/internal/manifest"
)

// Program is a compiled module with the settings of its policy: what instances are made of.
type Program struct {
	manifest.Policy
	Runtime       wazero.Runtime
	Compiled      wazero.CompiledModule
	MayReadConfig bool // without an export for that; see [MayReadConfig]
	Zones         *Zones
	Lines         LogLines                       // of what its instances log
	Heard         func(level int32, text string) // takes these lines while one starts, in a trial; nil: Lines does
	Memory        atomic.Int64                   // bytes of all its instances

	config string // as the manifest has it
}

// Configure gives new instances a configuration.
func (p *Program) Configure(config json.RawMessage) { p.Config, p.config = config, string(config) }
