// SPDX-License-Identifier: GPL-2.0
/*
 * A sender that has too many packets under way waits until they are fewer. They
 * may be before it says that it waits. An unreliable connection shows whether it
 * goes on then: on a reliable one the retransmission timer would wake it.
 */
#include "kselftest_harness.h"
#include "lib/rv.h"
#include "lib/rv_race.h"

#define FULL	"send_full"
#define BEGUN	"fault_begun"
#define MTU	256
/* It stops when so many are under way: more than RXE_INFLIGHT_SKBS_PER_QP_HIGH. */
#define PACKETS	65
#define LEN	(64 * 1024UL)

FIXTURE(packets)
{
	struct rv_ends e;	/* mem_a pinned, mem_b on demand */
};

FIXTURE_SETUP(packets)
{
	struct rv_opts opts = { .type = IBV_QPT_UC, .mtu = MTU };

	rv_race_reset();
	ASSERT_EQ(0, rv_ends_init(&self->e, &opts, LEN, 0, RV_ODP));
}

FIXTURE_TEARDOWN(packets)
{
	rv_race_reset();
	rv_ends_fini(&self->e);
}

/* The receiver is held until the sender has sent what it may. */
TEST_F(packets, gone_before_waited_for)
{
	struct rv_ends *e = &self->e;
	size_t len = rv_rand_len((PACKETS + 1) * MTU, 2 * PACKETS * MTU);
	size_t off_a = rv_rand_below(LEN - len + 1);
	size_t off_b = rv_rand_below(LEN - len + 1);
	size_t last = (PACKETS - 1) * MTU;
	struct ibv_sge sge = rv_ends_sge_a(e, off_a, len);

	rv_race_arm(BEGUN, 1, 20000);
	rv_race_arm(FULL, 1, 20000);
	ASSERT_EQ(0, rv_post_recv(&e->pair.b, NULL, 0));
	ASSERT_EQ(0, rv_post_write_imm(&e->pair.a, &sge, 1,
				       rv_ends_remote(e, off_b), 7));
	rv_buf_expect(&e->mem_b, off_b, rv_buf_shadow(&e->mem_a, off_a), len);
	ASSERT_EQ(0, rv_race_wait(BEGUN, 1));
	ASSERT_EQ(0, rv_race_wait(FULL, 1));
	ASSERT_EQ(0, rv_race_release(BEGUN));
	ASSERT_TRUE(rv_wait_for(!memcmp(e->mem_b.base + off_b + last,
					rv_buf_shadow(&e->mem_a, off_a + last),
					MTU)));
	ASSERT_EQ(1, rv_race_held(FULL));
	ASSERT_EQ(0, rv_race_release(FULL));
	ASSERT_RV_OK(rv_wait_recv(&e->pair.b, NULL));
	ASSERT_RV_OK(rv_wait(&e->pair.a));
	ASSERT_EQ(0, rv_ends_check(e));
}

RV_DEBUG_HARNESS_MAIN
