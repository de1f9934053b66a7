# Each of the two commands of the README, `make demo` and `make test`, does all its own set-up on a fresh Debian
# machine, as root. Both can be run twice.

ETCD ?= package
SHELL := /bin/bash
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help stage demo demo-down test check unit scenarios bench campaign dist clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

stage:  ## what a run from the checkout needs: virtual environment, executable, staged collection
	@testbed/setup
	@requirements/venv main
	@cargo xtask stage

demo: stage  ## three hosts and a cluster on them; ETCD=3.5, 3.6 or 3.7 instead of the distribution's package
	@testbed/demo up $(ETCD)

demo-down:  ## removes the demo's hosts
	@testbed/demo down

test: check unit scenarios  ## everything; of the campaign the first points
	@SEED=1 POINTS=5 testbed/logged campaign testbed/campaign

check: stage  ## formatting, lints, licences, generated files, size and linkage of the executable, Ansible's gates
	@testbed/setup cargo-deny
	@cargo xtask check
	@cargo xtask stage --sanity
	@.ci/gates

unit: stage  ## the Rust tests, against real etcd 3.4 to 3.7 on loopback
	@testbed/etcd/build 3.4 >/dev/null
	@testbed/etcd/build all >/dev/null
	@testbed/logged unit cargo test --quiet --workspace

scenarios: stage  ## the roles on real systemd hosts
	@molecule/run

bench: stage  ## timings beside a plain playbook's and the floor, as ratios; large snapshots
	@testbed/setup bench
	@testbed/etcd/build 3.6 >/dev/null
	@bench/run

campaign: stage  ## kills and damages at random points; SEED and POINTS replay and lengthen it
	@testbed/etcd/build 3.4 >/dev/null
	@testbed/etcd/build all >/dev/null
	@testbed/campaign

dist:  ## the collection's tarball for every architecture, in target/dist
	@testbed/setup cross
	@requirements/venv main
	@cargo xtask dist

clean: demo-down  ## everything built in the checkout
	@rm -rf target .venv
