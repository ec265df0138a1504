# make run: a whole fleet on this machine. make test: everything a change must pass. See make help.

# The compiler whose lints are the law (CONTRIBUTING.md names it too). A newer one only warns, so
# that a lint invented tomorrow breaks nobody's first command.
LINT_VERSION := 1.95.0
RUSTC_VERSION := $(shell rustc --version 2>/dev/null | cut -d' ' -f2)
NEWEST := $(shell printf '%s\n' "$(LINT_VERSION)" "$(RUSTC_VERSION)" | sort -V | tail -n 1)
DENY_WARNINGS := $(if $(filter $(NEWEST),$(LINT_VERSION)),-- -D warnings)

.DEFAULT_GOAL := help
.PHONY: help install run test test-full fmt fmt-check lint deny sql sql-check demo bench-queue bench-money

help: ## Says what each target does.
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

install: ## Installs redis-server, PostgreSQL with pgbench, and a C compiler where they are missing.
	@sh deploy/install.sh

run: install ## Builds the fleet and runs it: Redis, Postgres, sandboxes, producer, two workers, demo traffic.
	cargo build --release -p payfleet -p payfleet-producer -p payfleet-worker
	./target/release/payfleet dev

test: install fmt-check sql-check lint deny ## Everything a change must pass.
	cargo test --workspace
	$(MAKE) --no-print-directory demo

test-full: install ## The faults and the model of the queue, a rebuild, an outage, a redrive and long reconciliations, at full length: about half an hour, beside make test.
	PAYFLEET_FULL=1 PAYFLEET_CASES=10000 cargo test -p payfleet-tests --test queue -- faults:: model::
	PAYFLEET_FULL=1 cargo test -p payfleet-tests --test scenarios -- rebuild:: little_memory an_outage redrive::a_plan_of_many

demo: ## A finite demo: pays, mints, reconciles, and fails unless everything settled and balances.
	cargo build -p payfleet -p payfleet-producer -p payfleet-worker
	env -u REDIS_URL -u DATABASE_URL ./target/debug/payfleet dev --once --json

fmt: ## Formats the sources.
	cargo fmt --all

fmt-check:
	cargo fmt --all --check

lint: ## Runs clippy; warnings are errors on the compiler named above, and warnings on a newer one.
	cargo clippy --workspace --all-targets $(DENY_WARNINGS)
	$(if $(DENY_WARNINGS),,@echo "lint: rustc $(RUSTC_VERSION) is newer than $(LINT_VERSION): warnings are not errors")

deny: ## Checks licences and banned crates, where cargo-deny is installed.
	@if cargo deny --version >/dev/null 2>&1; then \
		cargo deny check bans licenses sources; \
	else \
		echo "!! NOT CHECKED: licences and banned crates. cargo-deny is not installed (cargo install cargo-deny)."; \
	fi

sql: ## Renews .sqlx, the committed descriptions of every SQL statement.
	@deploy/sql.sh renew

sql-check: install ## Fails when .sqlx does not match the SQL in the sources.
	@deploy/sql.sh check

bench-queue: install ## Measures the queue beside hand-written loops and apalis-redis. ARGS="--quick --rows drain,memory".
	cargo run --release -p payfleet-tests --bin bench-queue -- $(ARGS)

bench-money: install ## Measures payouts and webhooks beside pgbench, and what waiting and comparing long records cost. ARGS="--quick".
	cargo build --release -p payfleet-tests -p payfleet-worker --bin bench-money --bin payfleet-worker
	./target/release/bench-money $(ARGS)
