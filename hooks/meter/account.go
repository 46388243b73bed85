package meter

import "fmt"

// Memory that the runtime (wazero 1.12.0) needs for the parts of a module, in bytes: the
// larger value of its compiler and its interpreter. Some parts need a hundred times their
// size in the module.
var sizes = map[part]struct{ instance, shared int64 }{
	partType:         {0, 112},
	partValue:        {0, 16}, // a parameter or a result of a type
	partFunction:     {32, 128},
	partImport:       {64, 256},
	partTable:        {128, 40},
	partSlot:         {8, 0}, // an element of a table
	partGlobal:       {96, 64},
	partExport:       {0, 96},
	partElementList:  {32, 80},
	partElement:      {48, 48}, // an element of a segment
	partDataList:     {32, 64},
	partByte:         {0, 1},  // of data, and of a name
	partFunctionRef:  {48, 0}, // the value of a global
	partInstanceBase: {4096, 0},
}

// part is a part of a module with a memory cost.
type part string

const (
	partType         part = "types"
	partValue        part = "parameters and results of types"
	partFunction     part = "functions"
	partImport       part = "imports"
	partTable        part = "tables"
	partSlot         part = "elements of tables"
	partGlobal       part = "globals"
	partExport       part = "exports"
	partElementList  part = "segments of elements"
	partElement      part = "elements of segments"
	partDataList     part = "segments of data"
	partByte         part = "data and names"
	partFunctionRef  part = "references to functions"
	partInstanceBase part = "the instance"
)

// account is the memory that the host needs for a module: for each instance beside the
// linear memory, and once for all instances beside the compiled code.
type account map[part]int64

func (a account) add(p part, n int64) { a[p] += n }

// total returns the bytes of an instance, or those that are shared by all, and the part
// that takes the most.
func (a account) total(shared bool) (bytes int64, largest part) {
	var most int64
	for p, n := range a {
		b := n * sizes[p].instance
		if shared {
			b = n * sizes[p].shared
		}
		bytes += b
		if b > most || b == most && p < largest {
			most, largest = b, p
		}
	}
	return bytes, largest
}

// pages returns the pages of linear memory that are left for an instance with a limit of so
// many pages in all. It refuses a module that exceeds the limit without linear memory.
func (a account) pages(most uint32) uint32 {
	limit := int64(most) << 16
	for _, shared := range []bool{false, true} {
		bytes, largest := a.total(shared)
		if bytes <= limit {
			continue
		}
		what := "an instance takes %d KiB of the host beside its memory"
		if shared {
			what = "it takes %d KiB of the host beside its code"
		}
		refuse(what+", most of it for %d %s, and the limit of its memory is %d KiB", bytes>>10, a[largest], largest, limit>>10)
	}
	bytes, _ := a.total(false)
	return most - uint32(bytes>>16)
}

// tables returns the table section with a maximum for each table, so that none can grow
// beyond its accounted size. A table that no instruction grows keeps its size; a table
// without a maximum, or with a large one, may take an eighth of the memory limit.
func (w *rewriter) tables(r *reader) (limits []tableLimits) {
	for n := r.u32(); n > 0; n-- {
		t := tableLimits{kind: r.byte()}
		w.valueType(t.kind)
		least, most, bounded := w.limits(r)
		if least > MaxTable {
			refuse("it wants a table in elements of %d, more than the limit of %d", least, MaxTable)
		}
		if bounded && most < least {
			refuse("the minimum of a table, %d, is more than its maximum, %d", least, most)
		}
		t.least, t.most = least, least
		slots := int64(least)
		if w.grown[uint32(len(limits))] || w.cfg.open {
			// A growing table needs memory for the old table and spare capacity, too.
			const perSlot = 18
			t.most = max(least, min(MaxTable, uint32(int64(w.cfg.MaxPages)<<16/8/perSlot)))
			if bounded {
				t.most = max(least, min(t.most, most))
			}
			if t.most > least {
				slots = int64(t.most) * perSlot / 8
			}
		}
		w.account.add(partTable, 1)
		w.account.add(partSlot, slots)
		limits = append(limits, t)
	}
	return limits
}

type tableLimits struct {
	kind        byte
	least, most uint32
}

// onlyFunctions refuses imports other than functions, because the host offers no others.
func (w *rewriter) onlyFunctions(kind, module, name string) {
	if !w.cfg.open {
		refuse("it imports the %s %s; only functions can be imported", kind, fmt.Sprintf("%q.%q", readable(module), readable(name)))
	}
}
