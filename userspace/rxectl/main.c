// SPDX-License-Identifier: GPL-2.0
/* rxectl: look at, and move, the memory of Soft-RoCE's on-demand regions. */
#include <stdio.h>

#include "args.h"
#include "rxectl.h"

#ifndef VERSION
#define VERSION "unknown"
#endif

static void help(FILE *to)
{
	fputs("usage: rxectl [-j] [-p] COMMAND\n"
	      "\n"
	      "  dev [DEV]                      devices and their memory\n"
	      "  mr [DEV] [mrn N | pid N]       regions, and where their memory is\n"
	      "  stat [DEV] [mrn N | pid N]     counters of devices or of regions\n"
	      "  heat [DEV] [mrn N | pid N]     what is used most, the hottest first\n"
	      "  policy [DEV [MODE]]            what moves by itself: off, manual, auto, default\n"
	      "  top [DEV] [count N]            both as they change, every second\n"
	      "  record [DEV] [every MS] [count N] [to FILE]\n"
	      "                                 what they do, for report and heatmap\n"
	      "  report FILE [to FILE]          a recording as a page of HTML\n"
	      "  heatmap FILE [dev DEV] [svg] [to FILE]\n"
	      "                                 its heat, address by time\n"
	      "  migrate DEV {mrn N | pid N} to {device | system}\n"
	      "          [offset BYTES] [length BYTES]\n"
	      "  prefer DEV {mrn N | pid N} {device | system | stay | none}\n"
	      "          [offset BYTES] [length BYTES]\n"
	      "\n"
	      "  -j, --json      JSON, in one line\n"
	      "  -p, --pretty    JSON in several lines\n"
	      "  -V, --version   the version\n"
	      "  -h, --help      this\n"
	      "\n"
	      "rxectl(8) has the details.\n", to);
}

int main(int argc, char **argv)
{
	struct args args;
	char error[160];
	int status;

	if (args_parse(&args, argc, argv, error, sizeof(error))) {
		fprintf(stderr, "rxectl: %s (rxectl --help)\n", error);
		return STATUS_USAGE;
	}
	if (args.command == ARGS_HELP) {
		help(stdout);
		return STATUS_OK;
	}
	if (args.command == ARGS_VERSION) {
		printf("rxectl " VERSION "\n");
		return STATUS_OK;
	}
	status = rxectl_run(&args);
	if (fflush(stdout) || ferror(stdout)) {
		perror("rxectl: standard output");
		status = status ? status : STATUS_FAILED;
	}
	return status;
}
