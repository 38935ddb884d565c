# SPDX-License-Identifier: GPL-2.0
#
# Entry points.  "make help" lists them; the work is done by the scripts that
# the rules name.

help:
	@sed -n 's/^#: //p' $(firstword $(MAKEFILE_LIST))

#: Targets:
#:   make modules     build rdma_rxe.ko for the prepared kernel line
modules:
	@rxe-patches/build

.PHONY: help modules
