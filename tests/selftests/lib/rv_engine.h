/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The copy engine: which one the driver uses, and dmasim, its knobs and what it
 * has counted. Each returns 0 or -errno.
 */
#ifndef RV_ENGINE_H
#define RV_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

bool rv_engine_loaded(void);
/* dmasim anew, as it is after loading, and the driver's engine. */
int rv_engine_load(void);
/* Back to what there was before, without dmasim. */
int rv_engine_unload(void);

int rv_engine_choose(const char *name);
int rv_engine_timeout(unsigned int ms);
int rv_engine_knob(const char *name, unsigned long value);
/* What a knob or counter of dmasim says. */
int64_t rv_engine_get(const char *name);

#endif
