# SPDX-License-Identifier: Apache-2.0
# A thin front: Meson builds, scripts/bootstrap installs, tests/run tests.
O := out
PROGRAMS := nono-nri nono nono-bwrap nono-runc nono-egress kubefence
ARCH := $(shell dpkg --print-architecture 2>/dev/null || uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')
ARCHES := amd64 arm64

.PHONY: all analyze coverage deps install uninstall deb dist demo cluster-demo site pictures images test test-all bench soak fuzz clean help

all: deps $(O)/build/build.ninja ## build out/bin/{nono-nri,nono,nono-bwrap,nono-runc,nono-egress,kubefence}
	@ninja -C $(O)/build
	@mkdir -p $(O)/bin
	@for p in $(PROGRAMS); do \
		f=$(O)/build/src/$$p/$$p; [ ! -f $$f ] || cmp -s $$f $(O)/bin/$$p || install -m 0755 $$f $(O)/bin/$$p; \
	done
	@ln -sfn kubefence $(O)/bin/kubectl-nono

$(O)/build/build.ninja:
	meson setup --fatal-meson-warnings $(O)/build

deps: ## install what building needs (Debian packages, as root)
	@scripts/bootstrap build

# A PREFIX stays until another one is given; without any it is /usr/local.
install: all ## programs, manual pages, completions, unit, profiles, documentation and libnri: PREFIX=/usr DESTDIR=/stage
	@[ -z "$(PREFIX)" ] || { meson configure -Dprefix="$(PREFIX)" $(O)/build && ninja -C $(O)/build; } >$(O)/install.log
	@meson install -C $(O)/build --no-rebuild $(if $(DESTDIR),--destdir "$(DESTDIR)") >$(O)/install.log
	@echo "installed; $(O)/install.log says what and where"

uninstall: ## remove what the last "make install" has put there
	@ninja -C $(O)/build uninstall >$(O)/install.log

deb: ## Debian packages kubefence, kubefence-node, libnri1, libnri-dev in out/deb
	@packaging/deb $(O)/deb

dist: deps ## the files of a release in out/dist: source, binaries for ARCHES, bill of materials, checksums
	@packaging/dist.py $(O)/dist $(foreach a,$(ARCHES),--arch $(a))

demo: all ## the same container without and with the sandbox, side by side, on this machine
	@scripts/bootstrap demo
	@scripts/demo

cluster-demo: all ## a Kubernetes of this machine, our chart, a sandboxed and a plain pod side by side
	@scripts/bootstrap test
	@scripts/cluster-demo

site: all ## the documentation as a site in out/site/html
	@scripts/bootstrap test
	@site/build.py

pictures: all ## draw docs/pictures again: diagrams by Graphviz, the demo by a run
	@scripts/bootstrap test
	@site/pictures.py

images: all ## the plugin image as out/image{/,.tar,.spdx.json}, for ARCHES="amd64 arm64"
	@for a in $(filter-out $(ARCH),$(ARCHES)); do images/cross $$a $(O)/cross-$$a || exit 1; done
	@images/build.py $(O)/image $(foreach a,$(ARCHES),--arch $(a)=$(O)$(if $(filter $(ARCH),$(a)),,/cross-$(a))/bin)

test: all ## unit, conformance, corpora, replayed fuzz cases, end to end on one containerd
	@scripts/bootstrap test
	@tests/run quick $(AREAS)

test-all: all ## all of "test" plus matrices, several runtimes, Kubernetes, QEMU; goes on where it ended; AREAS="guard e2e"
	@scripts/bootstrap test-all
	@tests/run all --resume $(AREAS)

analyze: all ## what compilers, analyzers, linters and sanitizers find, in all files; PARTS="cppcheck tidy"
	@scripts/bootstrap test-all
	@tests/analyze/run all $(PARTS)

coverage: all ## lines of the libraries that tests go through, folder by folder
	@scripts/bootstrap test-all
	@tests/analyze/run all coverage

bench: all ## ratios against references measured in the same run
	@scripts/bootstrap test
	@tests/run bench $(AREAS)

soak: all ## 100,000 creations with faults: none fails, memory and descriptors stay as they were
	@scripts/bootstrap test
	@tests/bench/run soak

fuzz: ## 60 seconds (FUZZ_SECONDS) of every fuzz target under libFuzzer
	@scripts/bootstrap fuzz
	@tests/fuzz/run fuzz

clean: ## remove everything that was built in the tree
	rm -rf $(O)

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12
