package compiler

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/octostore/octostore/hooks"
)

// mostModule is the largest module that the process reads, with its meter.
const mostModule = 1 << 30

// request precedes the module on the standard input of the process.
type request struct {
	Size      uint64
	Memory    int64
	Processor int64 // nanoseconds
}

func writeRequest(to io.Writer, module []byte, limits Limits) error {
	r := request{uint64(len(module)), limits.Memory, int64(limits.Processor)}
	if err := binary.Write(to, binary.BigEndian, r); err != nil {
		return err
	}
	_, err := to.Write(module)
	return err // it stays open until this process ends
}

// Main is the main function of a process started with [Argument] and a folder: it compiles
// the module on its standard input. It returns the exit code, 0 if it has answered.
func Main(args []string, in io.Reader, out, errs io.Writer) int {
	// Signals are for the parent process, which stops this one.
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	if len(args) != 1 {
		fmt.Fprintf(errs, "%s: want one argument, the folder to compile into; it is the server that runs this\n", Argument)
		return 64
	}
	module, limits, err := readRequest(in)
	if err != nil {
		fmt.Fprintln(errs, "read the module:", err)
		return 1
	}
	go func() {
		_, _ = io.Copy(io.Discard, in)
		os.Exit(1) // the parent process has ended
	}()
	holdTo(limits)
	// The garbage collector works harder the less memory is left.
	debug.SetMemoryLimit(limits.Memory / 4 * 3)
	var r reply
	if err := hooks.CompileInto(context.Background(), args[0], module); err != nil {
		r = reply{err.Error(), errors.Is(err, hooks.ErrUnavailable)}
	}
	if err := json.NewEncoder(out).Encode(r); err != nil {
		return 1
	}
	return 0
}

func readRequest(in io.Reader) ([]byte, Limits, error) {
	var r request
	if err := binary.Read(in, binary.BigEndian, &r); err != nil {
		return nil, Limits{}, err
	}
	if r.Size > mostModule {
		return nil, Limits{}, fmt.Errorf("it has %d bytes; want at most %d", r.Size, mostModule)
	}
	module := make([]byte, r.Size)
	if _, err := io.ReadFull(in, module); err != nil {
		return nil, Limits{}, err
	}
	return module, Limits{Processor: time.Duration(r.Processor), Memory: r.Memory}, nil
}
