// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <unistd.h>

#include "rv_engine.h"
#include "rv_log.h"
#include "rv_sys.h"

#define PARAMETERS	"/sys/module/rdma_rxe/parameters/"
#define KNOBS		"/sys/kernel/debug/dmaengine/dmasim/"

bool rv_engine_loaded(void)
{
	return !access("/sys/module/dmasim", F_OK);
}

int rv_engine_choose(const char *name)
{
	return rv_put(PARAMETERS "copy_engine", "%s", name);
}

int rv_engine_timeout(unsigned int ms)
{
	return rv_put(PARAMETERS "copy_timeout_ms", "%u", ms);
}

/* The driver gives its channels back, so nothing keeps the module. */
static int remove_engine(void)
{
	int err = rv_engine_choose("cpu");

	if (!err && rv_engine_loaded())
		err = rv_run("rmmod dmasim");

	return err;
}

/* The runner's module-load finds modules that are not installed. */
int rv_engine_load(void)
{
	int err = remove_engine();

	if (!err)
		err = rv_run("if command -v module-load >/dev/null; then "
			     "module-load dmasim; else modprobe dmasim; fi");

	return err ? err : rv_engine_choose("dmasim");
}

int rv_engine_unload(void)
{
	int err = remove_engine();

	if (!err)
		err = rv_engine_timeout(1000);

	return err ? err : rv_engine_choose("auto");
}

int rv_engine_knob(const char *name, unsigned long value)
{
	char path[96];

	snprintf(path, sizeof(path), KNOBS "%s", name);

	return rv_put(path, "%lu", value);
}

int64_t rv_engine_get(const char *name)
{
	char path[96];

	snprintf(path, sizeof(path), KNOBS "%s", name);

	return rv_get(path, NULL);
}
