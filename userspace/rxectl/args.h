/* SPDX-License-Identifier: GPL-2.0 */
/* The command line. */
#ifndef ARGS_H
#define ARGS_H

#include <infiniband/rxedv.h>
#include <stdbool.h>
#include <stdint.h>

enum args_command {
	ARGS_HELP,
	ARGS_VERSION,
	ARGS_DEV,
	ARGS_MR,
	ARGS_MIGRATE,
	ARGS_PREFER,
	ARGS_STAT,
	ARGS_HEAT,
	ARGS_POLICY,
	ARGS_TOP,
	ARGS_RECORD,
	ARGS_REPORT,
	ARGS_HEATMAP,
};

struct args {
	enum args_command command;
	bool json;
	bool pretty;
	const char *dev;		/* NULL: all */
	bool has_mrn, has_pid, has_length, has_count, svg;
	uint32_t mrn;
	uint32_t pid;
	uint32_t count;
	uint32_t every;			/* in ms; 0: as usual */
	uint64_t offset;
	uint64_t length;
	enum rxedv_place place;
	const char *mode;		/* NULL: as it is */
	const char *file;		/* a recording */
	const char *to;			/* a file; NULL: standard output */
};

/* 0, or -1 with the reason, in words, in error. */
int args_parse(struct args *args, int argc, char **argv, char *error,
	       size_t size);

/* Bytes: a number, in any base, and perhaps K, M, G or T. 0 or -1. */
int args_size(const char *word, uint64_t *bytes);

#endif
