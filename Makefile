# Every command that a person needs; `make help` lists them, CI calls the same ones.

# Where things go. PREFIX and DESTDIR mean what they mean everywhere; every folder can be set by
# itself, e.g. UNITDIR=/usr/lib/systemd/system for a package.
PREFIX ?= /usr/local
DESTDIR ?=
BINDIR ?= $(PREFIX)/bin
MANDIR ?= $(PREFIX)/share/man
DOCDIR ?= $(PREFIX)/share/doc/ve-license-server
UNITDIR ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
TMPFILESDIR ?= $(PREFIX)/lib/tmpfiles.d
BASHCOMPDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHCOMPDIR ?= $(PREFIX)/share/zsh/site-functions
FISHCOMPDIR ?= $(PREFIX)/share/fish/vendor_completions.d

CARGO ?= cargo
TARGETDIR := $(or $(CARGO_TARGET_DIR),target)
RELEASE := $(TARGETDIR)/release

SERVER_PROGRAMS := licensed licensectl license_viewer c2v v2c
EMULATOR_PROGRAMS := ve-emulator
# The vendor's own tool: it never goes to where a server goes.
ISSUER_PROGRAMS := license_issuer
PAGES := README.md ARCHITECTURE.md CHANGELOG.md SECURITY.md LICENSE-APACHE LICENSE-MIT

MANUALS = MANDIR='$(DESTDIR)$(MANDIR)' BASHCOMPDIR='$(DESTDIR)$(BASHCOMPDIR)' \
	ZSHCOMPDIR='$(DESTDIR)$(ZSHCOMPDIR)' FISHCOMPDIR='$(DESTDIR)$(FISHCOMPDIR)' \
	scripts/install-manuals.sh '$(RELEASE)'

.DEFAULT_GOAL := help
.PHONY: help build release demo demo-autove test lint format bench sim install install-emulator install-issuer \
	uninstall uninstall-emulator uninstall-issuer system-packages rust built clean

##@ Try it

demo: system-packages rust ## Show the main job with real emulators, in about two minutes
	$(CARGO) build --workspace --bins --locked
	scripts/demo.sh

demo-autove: system-packages rust ## Show two AutoVE servers that heal each other, in about a minute
	$(CARGO) build --workspace --bins --locked
	scripts/demo-autove.sh

##@ Build

build: rust ## Build everything, quickly (debug)
	$(CARGO) build --workspace --bins --locked

release: rust ## Build everything as it is installed (optimized)
	$(CARGO) build --workspace --bins --release --locked

##@ Check

test: system-packages rust ## Run every test; installs the system packages that they use
	scripts/make-test-guest.sh
	$(CARGO) build --workspace --bins --locked
	$(CARGO) test --workspace --locked

lint: rust ## Check the format, clippy's rules and the house rules
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) test --package ve-tidy --locked

format: rust ## Format all sources
	$(CARGO) fmt --all

bench: rust ## Measure, each figure beside its yardstick
	$(CARGO) bench --locked --package ve-store --bench commits
	$(CARGO) bench --locked --package ve-server --bench cold_logins --bench registry --bench restart
	$(CARGO) build --release --locked --package ve-server --bins
	$(CARGO) bench --locked --package ve-emulator --bench service

# Every run has a seed of its own; a failure prints the one that shows it, and the command for it.
DAYS ?= 10
RUNS ?= 25
MODE ?= both
sim: rust ## Simulate 500 days in which everything fails; RUNS, DAYS, MODE (general, autove) and SEED change that
	$(CARGO) run --release --locked --package ve-sim -- --days $(DAYS) --runs $(RUNS) --mode $(MODE) $(if $(SEED),--seed $(SEED)) --clients 24

##@ Install (after `make release`; PREFIX and DESTDIR as usual)

install: PROGRAMS := $(SERVER_PROGRAMS)
install: built ## Install the server, the administrator's tools and the service
	install -d '$(DESTDIR)$(BINDIR)' '$(DESTDIR)$(UNITDIR)' '$(DESTDIR)$(SYSUSERSDIR)' \
		'$(DESTDIR)$(TMPFILESDIR)' '$(DESTDIR)$(DOCDIR)'
	install -m 755 $(SERVER_PROGRAMS:%='$(RELEASE)/%') '$(DESTDIR)$(BINDIR)'
	$(MANUALS) $(SERVER_PROGRAMS)
	sed 's,@BINDIR@,$(BINDIR),g' pkg/licensed.service >'$(DESTDIR)$(UNITDIR)/licensed.service'
	chmod 644 '$(DESTDIR)$(UNITDIR)/licensed.service'
	install -m 644 pkg/sysusers.d/licensed.conf '$(DESTDIR)$(SYSUSERSDIR)'
	install -m 644 pkg/tmpfiles.d/licensed.conf '$(DESTDIR)$(TMPFILESDIR)'
	install -m 644 pkg/config.toml $(PAGES) '$(DESTDIR)$(DOCDIR)'
	cp -R --no-preserve=ownership docs '$(DESTDIR)$(DOCDIR)'
	@$(if $(DESTDIR),:,scripts/next-steps.sh)

install-emulator: PROGRAMS := $(EMULATOR_PROGRAMS)
install-emulator: built ## Install ve-emulator, for an emulator host
	install -d '$(DESTDIR)$(BINDIR)'
	install -m 755 $(EMULATOR_PROGRAMS:%='$(RELEASE)/%') '$(DESTDIR)$(BINDIR)'
	$(MANUALS) $(EMULATOR_PROGRAMS)

install-issuer: PROGRAMS := $(ISSUER_PROGRAMS)
install-issuer: built ## Install license_issuer, for the vendor; never where a server is
	install -d '$(DESTDIR)$(BINDIR)'
	install -m 755 $(ISSUER_PROGRAMS:%='$(RELEASE)/%') '$(DESTDIR)$(BINDIR)'
	$(MANUALS) $(ISSUER_PROGRAMS)

# remove PROGRAMS: the programs and what they print of themselves.
remove = rm -f $(foreach program,$(1),'$(DESTDIR)$(BINDIR)/$(program)' \
	'$(DESTDIR)$(MANDIR)/man1/$(program).1' '$(DESTDIR)$(BASHCOMPDIR)/$(program)' \
	'$(DESTDIR)$(ZSHCOMPDIR)/_$(program)' '$(DESTDIR)$(FISHCOMPDIR)/$(program).fish')

uninstall: ## Remove what `make install` installed; licenses and ledger stay
	$(call remove,$(SERVER_PROGRAMS))
	rm -f '$(DESTDIR)$(UNITDIR)/licensed.service' '$(DESTDIR)$(SYSUSERSDIR)/licensed.conf' \
		'$(DESTDIR)$(TMPFILESDIR)/licensed.conf'
	rm -f $(foreach page,config.toml $(PAGES),'$(DESTDIR)$(DOCDIR)/$(page)')
	rm -rf '$(DESTDIR)$(DOCDIR)/docs'
	-rmdir '$(DESTDIR)$(DOCDIR)'

uninstall-emulator: ## Remove what `make install-emulator` installed
	$(call remove,$(EMULATOR_PROGRAMS))

uninstall-issuer: ## Remove what `make install-issuer` installed
	$(call remove,$(ISSUER_PROGRAMS))

##@ Prepare and tidy up

system-packages: ## Install the system packages that demo and tests use (root or sudo)
	@scripts/install-system-packages.sh

clean: rust ## Remove what was built
	$(CARGO) clean

help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

rust:
	@command -v $(CARGO) >/dev/null || { \
		echo 'There is no cargo here. Install Rust (stable, see rust-version in Cargo.toml)' >&2; \
		echo 'with rustup, open a new shell, and start again.' >&2; exit 1; }

# Installing builds nothing: it often runs as root, who has no Rust.
built:
	@for program in $(PROGRAMS); do test -x '$(RELEASE)'/$$program || { \
		echo "$$program is not built yet: run 'make release' first." >&2; exit 1; }; done
