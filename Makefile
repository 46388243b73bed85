# OctoStore. `make` or `make help` lists the targets.

GO          ?= go
FUZZTIME    ?= 10s
SEEDS       ?= 10000
VERSION     := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

LDFLAGS     := -s -w -X github.com/octostore/octostore/cmd/octostore/internal/version.linked=$(VERSION)

.DEFAULT_GOAL := help

# What a target needs of the machine; the message says what is missing and where to get it.
.PHONY: need-go need-cc
need-go:
	@.ci/need go $(GO)
need-cc:
	@.ci/need cc $(GO)

##@ For newcomers

# A line "##@ Title" begins a group of targets, a comment behind a target describes it.
.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^##@ / { printf "%s%s\n", sep, substr($$0, 5); sep = "\n" } /^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: demo
demo: build ## Show two jobs that wait for the same lock, on this machine
	bin/octostore demo

# ETCDS=3 starts three members of etcd, DEMO=--once ends after the story.
ETCDS := 1
.PHONY: demo-cluster
demo-cluster: build bin/etcd ## Show three nodes over etcd, of which the serving one is killed; ETCDS=3 starts three etcd
	bin/octostore demo cluster --etcd bin/etcd --etcds $(ETCDS) $(DEMO)

# It takes a minute or two, once. make bench-peers builds it, too.
bin/etcd:
	@echo "build etcd, of .ci/peers/go.mod"
	@CGO_ENABLED=0 $(GO) build -modfile=.ci/peers/go.mod -trimpath -ldflags '-s -w' -o bin/etcd go.etcd.io/etcd/server/v3

# The tests of .ci/long-tests take long, wait for minutes or need other languages.
LONG = $(subst $(space),|,$(LONG_TESTS))
LONG_TESTS = $(shell awk -F : '/^Test/ { print $$1 }' .ci/long-tests)
space := $(subst ,, )

# Those of them in which much happens at once in our own code: make race runs their short form.
RACED := TestAbandonedWaitsLeaveNoGhosts TestAuditLogHoldsWhileEverythingHappensAtOnce TestCrowdsComeAndGo \
	TestHistoriesOverKillsAreLinearizable TestKillUnderLoadKeepsEveryPromise TestRunsTakeTurnsOverKillsOfTheServer \
	TestTermHasOneOwnerWhateverHappensToTheWay
UNRACED = $(subst $(space),|,$(filter-out $(RACED),$(LONG_TESTS)))
# The packages in which much happens at once in one process. RACE_PACKAGES=./... are all.
RACE_PACKAGES := ./core/... ./hooks/... ./transport/... \
	$(addprefix ./cmd/octostore/internal/,faults filewatch job runner server session)

# These packages take longest. They begin first, so that none runs alone at the end.
FIRST := ./transport ./hooks ./core/store/sqlite

# Test binaries without what a debugger needs are linked in two thirds of the time.
QUICK := -ldflags=-w

# Tests wait more than they work, so more packages run at a time than there are cores. The
# limit is for one package, and for a machine that is several times slower than ours.
.PHONY: test
test: need-go ## Run the tests in a few minutes; make check runs the long ones, too
	@echo "go test ./... without the tests of .ci/long-tests, which make check runs, too"
	@$(GO) test -p 3 $(QUICK) -timeout 10m -skip '^($(LONG))$$' ./...

.PHONY: build
build: need-go ## Build bin/octostore, one static binary
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/octostore ./cmd/octostore

.PHONY: run
run: build ## Start a server with the settings of the environment and .env
	bin/octostore serve

# The bundled policies, each a folder with a main.go. Built alike everywhere, so that a digest
# in a manifest holds.
POLICIES := $(sort $(notdir $(patsubst %/main.go,%,$(wildcard plugins/*/main.go))))

.PHONY: plugins
plugins: need-go ## Build the bundled policies into bin/plugins
	@for p in $(POLICIES); do \
		echo "bin/plugins/$$p.wasm"; \
		GOOS=wasip1 GOARCH=wasm $(GO) build -buildmode=c-shared -trimpath -buildvcs=false -ldflags '-s -w' -o bin/plugins/$$p.wasm ./plugins/$$p || exit 1; \
	done

.PHONY: clean
clean: ## Remove bin and dist
	rm -rf bin dist

##@ For maintainers

.PHONY: check
check: need-go need-cc ## Run all checks that a change has to pass; CI runs this
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "gofmt these files:"; echo "$$unformatted"; exit 1; }
	$(GO) mod tidy -diff
	@$(MAKE) --no-print-directory lint
	$(GO) run ./cmd/mutants -fit
	@$(MAKE) --no-print-directory beside-tests & beside=$$!; \
	$(MAKE) --no-print-directory test QUICK='$(QUICK) -vet=off' && $(MAKE) --no-print-directory long && $(MAKE) --no-print-directory -j 2 e2e race; \
	passed=$$?; wait $$beside; built=$$?; test $$passed -eq 0 || exit $$passed; exit $$built

.PHONY: lint
lint: need-go ## Run golangci-lint, at the version of .ci/lint/go.mod
	$(GO) tool -modfile=.ci/lint/go.mod golangci-lint run ./...

# The tests of the recipes take longest, so they begin first.
.PHONY: long
long: need-go ## Run the tests of .ci/long-tests
	@echo "go test of the tests in .ci/long-tests"
	@$(GO) test -p 3 $(QUICK) -vet=off -timeout 20m -run '^($(LONG))$$' ./cmd/octostore/internal/recipes $$(grep -lrE --include='*_test.go' '^func ($(LONG))\(' cmd core hooks transport | xargs -n 1 dirname | sort -u | sed 's,^,./,')

.PHONY: e2e
e2e: build ## Test the page in a real browser; SHOTS=1 writes the pictures in docs/img
	@.ci/e2e

.PHONY: vendored
vendored: ## Show that the libraries in the page are the files that npm publishes
	@.ci/vendored

.PHONY: race
race: need-go need-cc ## Run the tests with the race detector, few of the long ones
	@echo "go test -race -short without what has no use for it"
	@CGO_ENABLED=1 $(GO) test -race -short $(QUICK) -vet=off -timeout 20m -skip '^($(UNRACED))$$' $(FIRST) $(RACE_PACKAGES)

# Tests wait more than they work, so the compiler can go on beside them.
.PHONY: beside-tests race-build
beside-tests: race-build
	@nice -n 19 $(MAKE) --no-print-directory systems
	@GO=$(GO) nice -n 19 .ci/dist-twice windows/amd64 # make systems has compiled it: two links

race-build:
	@CGO_ENABLED=1 nice -n 19 $(GO) list -race -export -test -deps $(RACE_PACKAGES) >/dev/null 2>&1 || true

# Where octostore builds. The server promises what it does on Linux; on macOS and FreeBSD
# it runs without some of it, on Windows only the commands do (docs/operations.md).
SYSTEMS := darwin/arm64 freebsd/amd64 windows/amd64 linux/386
TARGETS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 freebsd/amd64 freebsd/arm64 windows/amd64 windows/arm64 linux/386

# $(call on,TARGET,COMMAND) runs a go command for another system.
on = @echo "go $(2) for $(1)"; GOOS=$(firstword $(subst /, ,$(1))) GOARCH=$(lastword $(subst /, ,$(1))) CGO_ENABLED=0 $(GO) $(2) -trimpath ./...

.PHONY: systems $(SYSTEMS:%=system-%)
systems: $(SYSTEMS:%=system-%)
$(SYSTEMS:%=system-%): system-%:
	$(call on,$*,build)

.PHONY: cross $(TARGETS:%=cross-%)
cross: $(TARGETS:%=cross-%) ## Vet all packages for every operating system and processor
$(TARGETS:%=cross-%): cross-%:
	$(call on,$*,vet)

.PHONY: dist
dist: need-go ## Build reproducible binaries for six platforms into dist, with SHA256SUMS
	@GO=$(GO) .ci/dist dist '$(VERSION)'

.PHONY: packages
packages: need-go ## Build a .deb and an .rpm for amd64 and arm64 into dist
	@GO=$(GO) .ci/packages dist '$(VERSION)'

.PHONY: man
man: need-go ## Write the manual pages of all commands into bin/man
	@rm -rf bin/man
	@CGO_ENABLED=0 $(GO) run -trimpath -tags manpages -ldflags '$(LDFLAGS)' ./cmd/octostore bin/man
	@echo "$$(ls bin/man | wc -l | tr -d ' ') pages; man -l bin/man/octostore.1 shows the first"

.PHONY: simulate
simulate: ## Simulate SEEDS (10000) runs of the table on failing stores with misbehaving clients
	$(GO) test -count=1 -v -timeout 60m -run 'Simulation$$' ./core/table -simulate.seeds $(SEEDS)

.PHONY: torture
torture: ## Run the long tests of docs/guarantees.md, or one: STAGE=seeds cuts faults kills cluster litestream cross dist …
	.ci/torture $(STAGE)

.PHONY: spectest
spectest: need-go ## Compare metered and plain modules on the tests of the WebAssembly specification
	$(GO) test -count=1 -v -timeout 30m -run 'SpecificationBehavesTheSame$$' ./hooks/meter -spectest.all

.PHONY: fuzz
fuzz: ## Run every fuzz test for FUZZTIME (10s)
	@for dir in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -r dirname | sort -u); do \
		for target in $$(grep -ho '^func Fuzz[A-Za-z0-9_]*' $$dir/*_test.go | cut -d ' ' -f 2); do \
			echo "$$dir $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$dir || exit 1; \
		done; \
	done

.PHONY: mutants
mutants: ## Run the mutation tests: each known defect must make a test fail
	$(GO) run ./cmd/mutants

.PHONY: bench
bench: build ## Run the Go benchmarks, name what got slower than in .ci/benchmarks.txt, then load a server; RECORD=1 records
	@GO=$(GO) .ci/bench
	bin/octostore bench acquire --rounds 1 --duration 2s

.PHONY: bench-peers
bench-peers: need-go ## Install what octostore bench compare compares with: Redis, PostgreSQL and etcd
	@GO=$(GO) .ci/bench-peers

# The figures of docs/performance.md: less than ten minutes on a machine that does nothing else.
# ROUNDS, LOCKS and PARKED make it shorter.
ROUNDS := 5
LOCKS := 1000000
PARKED := 10000
PERFORMANCE := --rounds $(ROUNDS) --duration 2s --warmup 500ms --peers redis,etcd,postgresql --locks $(LOCKS) --parked $(PARKED)

.PHONY: performance
performance: build ## Measure what docs/performance.md shows, and write it there
	bin/octostore bench compare $(PERFORMANCE) --json > bin/performance.json
	cp bin/performance.json docs/performance.json
	$(GO) test -count=1 ./cmd/octostore/internal/bench -run 'PerformancePage' -update
