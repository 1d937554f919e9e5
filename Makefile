# Every way to build, run and test podnet. `make help` lists them; each target works from a clean clone.

CLUSTER ?= podnet

UV_VERSION := 0.13.8
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/podnet
OWN_UV := $(CACHE)/uv-$(UV_VERSION)/bin/uv
UV := $(or $(shell command -v uv 2>/dev/null),$(OWN_UV))
export PATH := $(patsubst %/,%,$(dir $(UV))):$(PATH)

# uv brings its own certificate authorities: where pip was told of others, uv must know them too.
ifndef SSL_CERT_FILE
ifdef PIP_CERT
export SSL_CERT_FILE := $(PIP_CERT)
endif
endif

RUN := $(UV) run --no-sync
HACK := $(RUN) python -m podnet_hack
# What is measured runs with the Python of the image, and the unit tests with both.
SHIPPED := $(HACK).shipped
PYTEST := $(RUN) pytest
ROOMS := api kni-server scheduler-extender compat tests hack

.DEFAULT_GOAL := help
.PHONY: bench-compat help setup lint generate unit nri apiserver scheduler netns vm e2e test conformance bench bench-controller bench-proxy bench-scheduler soak-proxy chaos fuzz image cluster-up cluster-down demo demo-down

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "CLUSTER=$(CLUSTER) names the cluster of image, cluster-up, cluster-down, demo and bench."

setup: $(UV) ## install the Python environment of the checkout
	@$(UV) sync --quiet --frozen --all-packages --all-groups

$(OWN_UV):
	@echo "  installing uv $(UV_VERSION) into $(CACHE)" >&2
	@python3 -m venv $(CACHE)/uv-$(UV_VERSION) || { [ "$$(id -u)" = 0 ] && apt-get install --yes --quiet python3-venv >&2 \
		&& python3 -m venv $(CACHE)/uv-$(UV_VERSION); } \
		|| { echo "cannot install uv: install the Debian package python3-venv, or uv itself" >&2; exit 1; }
	@$(CACHE)/uv-$(UV_VERSION)/bin/pip install --quiet uv==$(UV_VERSION)

lint: setup ## ruff, mypy and the import rules
	@status=0; for check in "ruff check ." "ruff format --check ." "mypy $(ROOMS)" "lint-imports"; do \
		echo "$$check"; $(RUN) $$check || status=1; done; exit $$status

generate: setup ## write what is generated from the types: CRDs, gRPC code, reference pages
	$(HACK).generate

unit: setup ## tests that need nothing but Python, with the checkout's and, as root, with the image's
	$(PYTEST) tests/unit
	$(SHIPPED) -m pytest tests/unit

nri: setup ## the NRI client against containerd's own runtime side (Go)
	$(PYTEST) tests/nri

apiserver: setup ## the example objects against a real API server
	$(PYTEST) tests/apiserver

scheduler: setup ## the extender with a real kube-scheduler and API server, killed on the way
	$(PYTEST) tests/scheduler

netns: setup ## tests against the real kernel, in network namespaces (root)
	$(HACK).packages ip nft
	$(PYTEST) tests/netns

vm: setup ## those of netns that this kernel cannot run, and SR-IOV, in a VM (root)
	@$(HACK).vm test

e2e: setup ## tests in a real cluster of their own (KEEP=1 leaves it up)
	$(PYTEST) tests/e2e

test: setup ## all of these, and one summary
	@$(HACK).parts lint,unit,nri,scheduler+apiserver netns+vm e2e

conformance: setup ## what KEP-3698 promises, on the cluster of $$KUBECONFIG (CONFORMANCE="--image podnet.local/test:dev")
	$(PYTEST) tests/conformance --junitxml=build/conformance/junit.xml $(CONFORMANCE)

bench: setup ## measurements against the kernel floor (root), written to build/bench.json and build/bench.md
	$(HACK).packages cc ip nft
	$(SHIPPED) tests/benchmark/run.py
	$(SHIPPED) tests/benchmark/datapaths.py
	$(SHIPPED) tests/benchmark/compat.py
	@$(RUN) python tests/benchmark/report.py

bench-node: setup ## 1,000 sandboxes with three networks on one node through NRI (root), to build/bench-node.json
	$(HACK).packages ip nft
	$(SHIPPED) tests/benchmark/node.py $(BENCH)
	@$(RUN) python tests/benchmark/report.py

bench-cluster: setup ## what networks add to the start of a Pod on CLUSTER, to build/bench-cluster.json (PODNET_MULTUS=DIR: Multus, too)
	PODNET_CLUSTER=$(CLUSTER) $(RUN) python tests/benchmark/cluster.py $(BENCH)
	@$(RUN) python tests/benchmark/report.py

bench-proxy: setup ## what podnet-proxy costs who reads (BENCH="--pods 5000"), to build/bench.json
	$(SHIPPED) tests/benchmark/proxy.py $(BENCH)

soak-proxy: setup ## a watch of 30 minutes and 5,000 Pods through podnet-proxy
	PODNET_WATCH_PODS=5000 PODNET_WATCH_SECONDS=1800 $(PYTEST) tests/apiserver/test_proxy_watch.py

bench-compat: setup ## 10,000 NADs and Pods through compat, to build/bench-compat.json; 500 NADs and 10,000 Pods, checked
	$(SHIPPED) tests/benchmark/compat.py $(BENCH)
	PODNET_COMPAT_NADS=500 PODNET_COMPAT_PODS=10000 $(PYTEST) -s tests/apiserver/test_compat_scale.py
	@$(RUN) python tests/benchmark/report.py

bench-controller: setup ## podnet-controller before 1,000 networks and 20,000 Pods, to build/bench-controller.json
	$(SHIPPED) tests/benchmark/controller.py $(BENCH)

bench-scheduler: setup ## what the extender costs kube-scheduler (BENCH="--nodes 5000"), to build/bench-scheduler.json
	$(SHIPPED) tests/benchmark/scheduler/run.py $(BENCH)

chaos: setup ## the extender and the KNI server killed again and again, a node without API server: an hour (root)
	$(RUN) python tests/scheduler/chaos.py
	$(HACK).packages ip nft
	PODNET_CRASH_ROUNDS=1000 PODNET_OUTAGE_SECONDS=600 PODNET_IPAM_SECONDS=300 $(PYTEST) -s --timeout=7200 \
		tests/apiserver/kni/test_crash.py tests/apiserver/test_ipam_proof.py

fuzz: setup ## all that is read of others, fuzzed for 10 minutes (FUZZ="--seconds 3600", "--target compat --runs 10000000 --jobs 2 --mutations")
	$(UV) run --no-sync --with atheris==3.0.0 python tests/fuzz.py $(FUZZ)

image: setup ## build the images
	@$(HACK).image build

cluster-up: setup ## a kind cluster: one control plane, three workers
	@$(HACK).localcluster.cluster up --cluster $(CLUSTER)

cluster-down: setup ## take the cluster away, and all that came with it
	@$(HACK).localcluster.cluster down --cluster $(CLUSTER)

demo: setup ## the guided tour, in a cluster made for it
	@$(HACK).demo --cluster $(CLUSTER)

demo-down: cluster-down ## take the demo away
