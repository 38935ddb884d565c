# SPDX-License-Identifier: GPL-2.0
#
# Entry points.  The work is done by the scripts that the rules name.

help:
	@sed -n 's/^#: \{0,1\}//p' $(firstword $(MAKEFILE_LIST))

#: rxe-hmm: on-demand paging for Soft-RoCE on CPU page tables
#:
#:   make run          boot a guest and compare pinned with on-demand memory
run:
	@rxe-patches/build >/dev/null
	@tests/demo/run

#:   make test         all tests in guests; T='smoke ops:test' selects programs,
#:                     T='!smoke' leaves one out, STOCK=1 takes the distribution's
#:                     module, DEBUG=1 the debug kernel, RXE_SEED=N repeats a
#:                     run's random data
test:
	@tests/vm/test $(if $(STOCK),--stock) $(if $(DEBUG),--debug) $(T)

#:   make test-debug   the tests, with less data, the KUnit suites, the fuzzers and
#:                     the kernel's own HMM tests on a debug kernel, which is built
#:                     first (10 minutes, once): the same as DEBUG=1
test-debug:
	@tests/vm/test --debug $(T)

#:   make coverage     the same, and how much of kernel/ has run
coverage:
	@tests/vm/test --coverage

#:   make test-kcsan   the tests that change what the device sees, on a debug
#:                     kernel that looks for data races
test-kcsan:
	@tests/vm/test --kcsan $(T)

#:   make test-report  what rxectl makes of a recording, in headless Chromium
test-report:
	@tests/report/run

#:   make fuzz         the fuzzers on the debug kernel, SECONDS=N for each (300),
#:                     with the random numbers of SEED=N
fuzz:
	@RXE_FUZZ_SECONDS=$(or $(SECONDS),300) $(if $(SEED),RXE_SEED=$(SEED)) \
		tests/vm/test --debug 'fuzz_*'

#:   make fuzz-user    what rxectl parses, by libFuzzer (clang), on this machine
fuzz-user:
	@$(MAKE) --no-print-directory -C userspace O=$(CURDIR)/build/user fuzz \
		SECONDS=$(or $(SECONDS),300) SEED=$(or $(SEED),1)

#:   make torture MINUTES=n SEED=s   everything at random, for 2 minutes if nothing
#:                     is said; STOCK=1, DEBUG=1 as above
torture:
	@$(if $(SEED),RXE_SEED=$(SEED)) tests/torture/run \
		$(if $(STOCK),--stock) $(if $(DEBUG),--debug) $(MINUTES)

#:   make bench        pinned memory, Linux's own on-demand paging and ours in turns:
#:                     table, CSV and plots in build/bench.  QUICK=1 takes less
#:                     than five minutes, ROWS='write-* dontneed-8192' selects
bench:
	@tests/bench/run $(if $(QUICK),--quick) $(ROWS)

#:   make bench-icount the same by instructions, which repeat: what has changed since
#:                     tests/bench/baseline.csv.  SAVE=1 makes a new one of it
bench-icount:
	@tests/bench/run --icount $(if $(SAVE),--save) $(ROWS)

#:   make profile ROW=thp-8   where the time goes in a row of a benchmark; the head
#:                     of tests/bench/profile lists the rows
profile:
	@tests/bench/profile $(ROW) $(SECONDS)

#:   make check        static checks of the sources; C='shellcheck spdx' selects
check:
	@tests/check/run $(C)

#:   make shell        a shell in the guest with rxe0 up
shell:
	@rxe-patches/build >/dev/null
	@tests/vm/run $(if $(STOCK),--stock) --shell

#:
#:   make modules      build rdma_rxe.ko and dmasim.ko for the prepared kernel
#:                     line and print the path of the first
#:   make modules KDIR=/lib/modules/$(uname -r)/build
#:                     build them on this machine for a kernel of its own;
#:                     RXE_SRC=... names the kernel's source
#:   make install      build them for the running kernel (or KDIR=...) and
#:                     install them
modules:
	@rxe-patches/build $(if $(KDIR),'$(KDIR)' '$(RXE_SRC)')

install:
	@rxe-patches/install '$(or $(KDIR),/lib/modules/$(shell uname -r)/build)' '$(RXE_SRC)'

#:   make user         build librxedv, rxectl and their manual pages
#:   make install-user install them; PREFIX=/usr/local, DESTDIR=...
user:
	@$(MAKE) --no-print-directory -C userspace

install-user:
	@$(MAKE) --no-print-directory -C userspace install

#:
#:   make update       look for a newer kernel of the line in the archive
#:   make pin          record the prepared kernel as one that the tests passed on
update:
	@tests/vm/prepare --update

pin:
	@rxe-patches/build --pin

#:   make clean        remove build/
#:   make distclean    remove the cache, too
clean:
	@tests/vm/clean

distclean:
	@tests/vm/clean --cache

#:
#: LINE=7.2 selects a kernel line (rxe-patches has one folder for each),
#: DEBIAN_MIRROR=URL names a Debian mirror, and XDG_CACHE_HOME is where downloads
#: and what is made of them are kept.

export LINE DEBIAN_MIRROR
# bash has a variable of that name
unexport SECONDS

.PHONY: help run test test-debug test-kcsan coverage test-report fuzz fuzz-user torture bench bench-icount profile check shell modules install user install-user update pin clean distclean
