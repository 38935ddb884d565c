/* SPDX-License-Identifier: GPL-2.0 */
/* The command report: a recording as a page for a browser. */
#ifndef REPORT_H
#define REPORT_H

#include "recording.h"

/* One page of HTML that needs nothing else, with a part for each device. */
void report_write(FILE *to, const struct recording *r);

enum rxectl_exit report_run(const struct args *args);

#endif
