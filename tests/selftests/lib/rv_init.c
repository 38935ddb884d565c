// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rv.h"

/*
 * Tests move pages themselves and say where they must be: the device's policy,
 * and that of devices that tests make, is to keep out of it.
 */
void rv_keep_policy_out(void)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/class/infiniband/%s/hmm/tier_mode",
		 rv_dev_name());
	rv_put(path, "manual");
	rv_put("/sys/module/rdma_rxe/parameters/tier_mode", "manual");
}

void rv_init(int argc, char **argv)
{
	struct rv_dev d;
	int i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	setvbuf(stderr, NULL, _IOLBF, 0);
	rv_rand_init();
	for (i = 1; i < argc; i++)
		if (!strcmp(argv[i], "-l") || !strcmp(argv[i], "-h"))
			return;
	rv_log("seed: RXE_SEED=%#llx", (unsigned long long)rv_rand_seed());
	if (rv_dev_open(&d, NULL)) {
		printf("TAP version 13\n1..0 # SKIP no usable RDMA device %s "
		       "(set RXE_DEV, or: rdma link add rxe0 type rxe netdev ...)\n",
		       rv_dev_name());
		exit(4);
	}
	rv_dev_close(&d);
	rv_keep_policy_out();
}
