// SPDX-License-Identifier: GPL-2.0
/*
 * Registers 1 MiB on demand and 64 KiB pinned, writes to both, says "ready",
 * and keeps them until standard input ends. Then it tells whether the memory is
 * as it was.
 */
#include "region.h"

#define ON_DEMAND	(1UL << 20)
#define PINNED		(64UL << 10)

int main(int argc, char **argv)
{
	struct ibv_context *ctx = region_device(argc > 1 ? argv[1] : "rxe0");
	struct ibv_pd *pd = ibv_alloc_pd(ctx);
	struct ibv_mr *odp = region_register(pd, ON_DEMAND,
					     IBV_ACCESS_ON_DEMAND);
	struct ibv_mr *pinned = region_register(pd, PINNED, 0);
	unsigned char *mem = odp->addr;
	size_t i;

	for (i = 0; i < ON_DEMAND; i++)
		mem[i] = i * 31 + (i >> 12);
	printf("ready\n");
	fflush(stdout);
	while (getchar() != EOF)
		;
	for (i = 0; i < ON_DEMAND; i++)
		if (mem[i] != (unsigned char)(i * 31 + (i >> 12))) {
			printf("byte %zu is wrong\n", i);
			return 1;
		}
	printf("unchanged\n");
	ibv_dereg_mr(pinned);
	ibv_dereg_mr(odp);
	ibv_dealloc_pd(pd);
	ibv_close_device(ctx);
	return 0;
}
