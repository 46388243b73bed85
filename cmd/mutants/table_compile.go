package main

var (
	inWatch      = []string{"-run=CompileIsWatched ./cmd/octostore/internal/compiler"}
	inCompiler   = []string{"-run=Compile ./cmd/octostore/internal/compiler"}
	inCodeFolder = []string{"-short -run=CodeFolder|CompileLimit|Reload|Parallel ./hooks ./hooks/internal/compile"}
	inEngine     = []string{"-short -run=Interpreter|EngineIs ./hooks"}
)

// compileMutants break how policies are compiled, and where their machine code is kept.
var compileMutants = []mutant{
	{
		name: "compile-without-deadline", file: "cmd/octostore/internal/compiler/compiler.go",
		old:    "end(timeError(limits.Elapsed))",
		new:    "",
		breaks: "a module that never compiles keeps a start or a reload for ever",
		tests:  inCompiler,
	},
	{
		name: "compile-time-unwatched", file: "cmd/octostore/internal/compiler/compiler.go",
		old:    "case used > limits.Processor:",
		new:    "case used < 0:",
		breaks: "a module takes the processor for minutes",
		tests:  inWatch,
	},
	{
		name: "compile-memory-unwatched", file: "cmd/octostore/internal/compiler/compiler.go",
		old:    "case memory > limits.Memory:",
		new:    "case memory < 0:",
		breaks: "a module of some kB takes the memory of the machine",
		tests:  inWatch,
	},
	{
		name: "compile-orphan", file: "cmd/octostore/internal/compiler/child.go",
		old:    "		os.Exit(1) // the parent process has ended\n",
		new:    "",
		breaks: "a compilation goes on when the server is gone",
		tests:  inCompiler,
	},
	{
		name: "compile-in-the-server", file: "hooks/internal/compile/codefolder.go",
		old:    "	if c.compile == nil {\n",
		new:    "	if true {\n",
		breaks: "the server compiles in its own process, without limits",
		tests:  inCodeFolder,
	},
	{
		name: "code-unchecked", file: "hooks/internal/compile/codefolder.go",
		old:    "if now.Bytes != r.Bytes || now.SHA256 != r.SHA256 {",
		new:    "if now.Bytes != r.Bytes {",
		breaks: "code is run that is not what was compiled",
		tests:  inCodeFolder,
	},
	{
		name: "code-of-others", file: "hooks/internal/compile/codefolder.go",
		old:    "case writableByOthers(info):",
		new:    "case false:",
		breaks: "code is run that another user has put there",
		tests:  inCodeFolder,
	},
	{
		name: "code-of-another-processor", file: "hooks/internal/compile/codefolder.go",
		old:    "filepath.ToSlash(c.machine))",
		new:    "\"\")",
		breaks: "code is taken for checked that was compiled for another processor",
		tests:  inCodeFolder,
	},
	{
		name: "code-of-another-limit", file: "hooks/engine.go",
		old:    "	key := moduleKey{digest, meterConfig(described.MemoryMiB)}\n",
		new:    "	key := moduleKey{digest, meterConfig(16)}\n",
		breaks: "a policy has the memory of another entry of the same module",
		tests:  inCodeFolder,
	},
	{
		name: "module-kept-for-ever", file: "hooks/modules.go",
		old:    "		delete(ms.all, key)\n",
		new:    "",
		breaks: "a module that was closed is used again after a reload",
		tests:  inCodeFolder,
	},
	{
		name: "executable-memory-unasked", file: "hooks/internal/compile/setup.go",
		old:    "return append(all, setup{engine: Interpreted})",
		new:    "return all",
		breaks: "a server does not start where the compiler cannot be used",
		tests:  inEngine,
	},
}
