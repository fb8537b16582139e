# The only door: each target works on a machine that has python3 (>= 3.11, with venv) and make.
PYTHON ?= python3
BIN := .venv/bin
SYNCED := .venv/.synced
CLIENT := service/clients/python
REAL_CLI := tests/infra/real_cli
NOT_SERVED := pulumi pulumi-aws awsiotsdk   # what the service's image does without
DEBIAN := chromium-headless-shell mosquitto softhsm2 nginx-light aria2 curl wget openssl systemd python3

# Where it is set (in many containers), each of the hundreds of processes of a test run would compile
# every package that it imports anew, which takes as long as all else that it does.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: image demo pictures up enroll test pulumi soak check aws-check bench mutants prove prover guardrails lock fmt clean packages wheel client
.DEFAULT_GOAL := help

help: ## say what each target does
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "make %-9s %s\n", $$1, $$2}'

# uv comes from the lock too: the first pip install is only the bootstrap.
$(SYNCED): requirements.lock pyproject.toml device_sdk/pyproject.toml $(CLIENT)/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Cedarfleet needs Python 3.11 or later; set PYTHON=")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep -oE '^uv==[0-9.]+' requirements.lock)"
	@VIRTUAL_ENV=.venv $(BIN)/uv pip sync --quiet --system-certs --require-hashes requirements.lock
	@VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --no-deps --no-build-isolation -e . -e device_sdk -e $(CLIENT)
	@touch $@

demo: $(SYNCED) ## the main job, end to end, on the embedded cloud
	@$(BIN)/python -m infra.local.demo

pictures: $(SYNCED) ## the demo, which takes the README's pictures of the console in a Chromium (docs/pictures/)
	@$(BIN)/python -m infra.local.demo --pictures docs/pictures

up: $(SYNCED) ## the same set-up, and stay: prints URL and sign-in data
	@$(BIN)/python -m infra.local

enroll: $(SYNCED) ## register a device on what `make up` runs (DEVICE=press-42, TENANT=acme): its code, and what to type
	@$(BIN)/python -m infra.local.enroll $(or $(DEVICE),press-42) --tenant $(or $(TENANT),acme)

test: prover ## every test
	@PATH="$(CURDIR)/.pulumi-cli:$$PATH" $(BIN)/python -m pytest

# Python's language host is no module that can be had by itself: it comes with Pulumi's own download.
pulumi: ## build the real CLI in .pulumi-cli/ from its published Go modules (minutes); make test then runs it too
	@command -v go >/dev/null || { echo "no go on PATH: install Go, or Pulumi itself (https://www.pulumi.com/docs/install/)"; exit 1; }
	@go build -C $(REAL_CLI) -o $(CURDIR)/.pulumi-cli/pulumi -ldflags "-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=$$(go list -C $(REAL_CLI) -m -f '{{.Version}}' github.com/pulumi/pulumi/pkg/v3)" github.com/pulumi/pulumi/pkg/v3/cmd/pulumi
	@echo ".pulumi-cli/pulumi is $$(.pulumi-cli/pulumi version)"
	@command -v pulumi-language-python >/dev/null || echo "pulumi-language-python is not on PATH: tests of the real CLI run programs without it; python -m infra tenants --engine pulumi needs it (https://www.pulumi.com/docs/install/)"

soak: $(SYNCED) ## the tests of random faults, with many more of them than in make test (hours; .cedarfleet/soak says how far)
	@$(BIN)/python -m pytest --soak -m soak

# Says in one line what each tool has checked; of a tool that found something, all that it says.
define checked
	@said=$$($(2) 2>&1) || { echo "$$said"; echo "$(1): not in order"; exit 1; }; \
	  printf '%-9s %s\n' $(1): "$$(echo "$$said" | grep -E '$(3)' | tail -n 1)"
endef

# Says nothing where it is built, and why nothing is proved where it cannot be: no test fails for that.
prover: $(SYNCED)
	@$(BIN)/python -m infra policies prover --seconds 600

check: prover ## format, lint, types, imports, the API's contract, Cedar
	$(call checked,format,$(BIN)/ruff format --check .,formatted)
	$(call checked,lint,$(BIN)/ruff check .,passed)
	$(call checked,imports,$(BIN)/lint-imports --no-logo,^Contracts:)
	$(call checked,client,$(BIN)/python -W ignore -m tests.service.generated_client,operations)
	$(call checked,types,$(BIN)/basedpyright,errors)
	@$(BIN)/python -m infra policies check
	@$(BIN)/python -m infra policies prove

prove: $(SYNCED) ## prove the policies of the base and of every tenant, as make check does; builds the prover as long as it takes
	@$(BIN)/python -m infra policies prover
	@$(BIN)/python -m infra policies prove

guardrails: $(SYNCED) ## fetch what makes infra/guardrails a policy pack (pulumi up --policy-pack infra/guardrails)
	@$(BIN)/uv pip install --quiet --system-certs --python $(BIN)/python --no-deps \
	  --target .policy-pack --require-hashes -r infra/guardrails/pulumi-policy.lock
	@echo "pulumi up -s STACK --policy-pack infra/guardrails"

wheel: $(SYNCED) ## the device SDK as a wheel in dist/, to be installed on a device
	@$(BIN)/uv build --quiet --wheel --no-build-isolation --python $(BIN)/python --out-dir dist device_sdk
	@echo "pip install $$(ls dist/cedarfleet_device-*.whl)"

client: $(SYNCED) ## what tenants install (package, command line) as a wheel in dist/; .venv/bin/cedarfleet runs here
	@$(BIN)/python -W ignore $(CLIENT)/generate.py
	@$(BIN)/uv build --quiet --wheel --no-build-isolation --python $(BIN)/python --out-dir dist $(CLIENT)
	@echo "pip install $$(ls dist/cedarfleet-*.whl)"

image: $(SYNCED) ## build, push and scan the service's image (TAG=0.2.0; needs Docker and AWS): what is too bad fails
	@$(BIN)/python -m infra image push $(TAG)

packages: ## Debian only, as root: what the broker and systemd tests need and the benchmarks compare with
	@apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(DEBIAN)

bench: $(SYNCED) ## measure speed: ratios, medians
	@$(BIN)/python -m tests.benchmarks

aws-check: $(SYNCED) ## once, in an AWS sandbox account: at most 50 calls that settle what only AWS can tell
	@$(BIN)/python -m infra.aws_check $(ARGS)

mutants: $(SYNCED) ## small changes of critical files that no test sees (long; ARGS="inbox --most 5")
	@$(BIN)/python -m tests.mutants $(ARGS)

fmt: $(SYNCED) ## rewrite Python and Cedar files to the house format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
	@$(BIN)/python -m infra policies format

lock: $(SYNCED) ## resolve again and rewrite both requirements.lock (docs/adr: why not uv.lock)
	@$(BIN)/uv lock --quiet --system-certs
	@$(BIN)/uv export --quiet --frozen --all-groups --no-emit-workspace --no-header --format requirements-txt -o requirements.lock
	@$(BIN)/uv export --quiet --frozen --no-default-groups --no-emit-workspace --no-header $(addprefix --prune ,$(NOT_SERVED)) --format requirements-txt -o service/requirements.lock

clean: ## remove what make made here
	@rm -rf .venv .policy-pack .pulumi-cli .cedarfleet .pytest_cache .ruff_cache .hypothesis dist build $(CLIENT)/src/cedarfleet/generated
