/* SPDX-License-Identifier: GPL-2.0 */
/* The commands. */
#ifndef RXECTL_H
#define RXECTL_H

#include <json-c/json.h>

#include "args.h"

/* What rxectl exits with; rxectl(8) explains. */
enum rxectl_exit {
	STATUS_OK,
	STATUS_FAILED,
	STATUS_USAGE,
	STATUS_NOT_FOUND,
	STATUS_NOT_PERMITTED,
	STATUS_NOT_SUPPORTED,
};

enum rxectl_exit rxectl_run(const struct args *args);

/* The rows that dev and stat show, and those of mr without what its pages tell. */
enum rxectl_exit rxectl_dev(const struct args *args, struct json_object *rows);
enum rxectl_exit rxectl_regions(const struct args *args, struct json_object *rows);
enum rxectl_exit rxectl_stat(const struct args *args, struct json_object *rows);

/* Which status goes with an errno. */
enum rxectl_exit rxectl_status(int err);

#endif
