// SPDX-License-Identifier: GPL-2.0
/* Unreliable datagrams and unreliable connections. */
#include <arpa/inet.h>

#include "kselftest_harness.h"
#include "lib/rv.h"

#define LEN	(128UL * 1024)
#define ROUNDS	24

FIXTURE(ud)
{
	struct rv_ends e;
};

FIXTURE_VARIANT(ud)
{
	unsigned int a, b;
	bool srq;
};

#define UD_VARIANT(_name, _a, _b, _srq)				\
	FIXTURE_VARIANT_ADD(ud, _name)				\
	{							\
		.a = _a,					\
		.b = _b,					\
		.srq = _srq,					\
	}

UD_VARIANT(pinned, 0, 0, false);
UD_VARIANT(odp_sender, RV_ODP, 0, false);
UD_VARIANT(odp_receiver, 0, RV_ODP, false);
UD_VARIANT(odp_both, RV_ODP, RV_ODP, false);
UD_VARIANT(pinned_srq, 0, 0, true);
UD_VARIANT(odp_srq, RV_ODP, RV_ODP, true);

FIXTURE_SETUP(ud)
{
	struct rv_opts opts = { .type = IBV_QPT_UD, .srq = variant->srq };

	ASSERT_EQ(0, rv_ends_init(&self->e, &opts, LEN, variant->a,
				  variant->b));
}

FIXTURE_TEARDOWN(ud)
{
	rv_ends_fini(&self->e);
}

/* What arrives in the routing header is not looked at. */
static void accept_grh(struct rv_ends *e, size_t off)
{
	rv_buf_expect(&e->mem_b, off, e->mem_b.base + off, RV_GRH);
}

TEST_F(ud, send)
{
	struct rv_ends *e = &self->e;
	int i;

	for (i = 0; i < rv_shrink(ROUNDS); i++) {
		size_t len = rv_rand_len(1, e->dev.mtu);
		size_t off_a = rv_rand_below(LEN - len);
		size_t off_b = rv_rand_below(LEN - len - RV_GRH);
		struct ibv_sge out = rv_ends_sge_a(e, off_a, len);
		struct ibv_sge in = rv_ends_sge_b(e, off_b, len + RV_GRH);
		struct ibv_wc wc;

		ASSERT_RV_OK(rv_send(&e->pair.a, &out, 1, &e->pair.b, &in, 1,
				     &wc));
		ASSERT_EQ(len + RV_GRH, wc.byte_len);
		ASSERT_NE(0, wc.wc_flags & IBV_WC_GRH);
		accept_grh(e, off_b);
		rv_buf_expect(&e->mem_b, off_b + RV_GRH,
			      rv_buf_shadow(&e->mem_a, off_a), len);
		ASSERT_RV_OK(rv_ends_check(e));
	}
}

/* The header in one piece, the data in others, over a page's end. */
TEST_F(ud, pieces)
{
	struct rv_ends *e = &self->e;
	int i;

	for (i = 0; i < rv_shrink(ROUNDS); i++) {
		size_t cut = rv_rand_between(1, 500);
		struct ibv_sge out[] = {
			rv_ends_sge_a(e, 4000, 2 * cut),
			rv_ends_sge_a(e, 9000, 31),
		};
		struct ibv_sge in[] = {
			rv_ends_sge_b(e, RV_PAGE - 13, RV_GRH),
			rv_ends_sge_b(e, 5 * RV_PAGE - 7, cut),
			rv_ends_sge_b(e, 11 * RV_PAGE - cut, cut + 31),
		};
		struct ibv_wc wc;

		ASSERT_RV_OK(rv_send(&e->pair.a, out, 2, &e->pair.b, in, 3,
				     &wc));
		ASSERT_EQ(2 * cut + 31 + RV_GRH, wc.byte_len);
		accept_grh(e, RV_PAGE - 13);
		rv_buf_expect(&e->mem_b, 5 * RV_PAGE - 7,
			      rv_buf_shadow(&e->mem_a, 4000), cut);
		rv_buf_expect(&e->mem_b, 11 * RV_PAGE - cut,
			      rv_buf_shadow(&e->mem_a, 4000 + cut), cut);
		rv_buf_expect(&e->mem_b, 11 * RV_PAGE,
			      rv_buf_shadow(&e->mem_a, 9000), 31);
		ASSERT_RV_OK(rv_ends_check(e));
	}
}

/* Sent from memory nobody has touched, received into such memory. */
TEST_F(ud, first_touch)
{
	struct rv_ends *e = &self->e;
	struct rv_buf fresh;
	struct ibv_sge out, in;
	struct ibv_mr *mr;

	ASSERT_EQ(0, rv_buf_alloc(&fresh, LEN));
	rv_buf_fill_guards(&fresh);
	mr = rv_reg_all(&e->dev, &fresh, RV_ACCESS | variant->b);
	ASSERT_NE(NULL, mr);
	out = rv_ends_sge_a(e, 77, 700);
	in = RV_SGE(mr, fresh.base + 5000, 700 + RV_GRH);
	ASSERT_RV_OK(rv_send(&e->pair.a, &out, 1, &e->pair.b, &in, 1, NULL));
	rv_buf_expect(&fresh, 5000, fresh.base + 5000, RV_GRH);
	rv_buf_expect(&fresh, 5000 + RV_GRH, rv_buf_shadow(&e->mem_a, 77), 700);
	ASSERT_EQ(0, rv_buf_check(&fresh));

	out = RV_SGE(mr, fresh.base + 9 * RV_PAGE, 300);
	in = rv_ends_sge_b(e, 100, 300 + RV_GRH);
	ASSERT_RV_OK(rv_send(&e->pair.a, &out, 1, &e->pair.b, &in, 1, NULL));
	accept_grh(e, 100);
	rv_buf_expect_byte(&e->mem_b, 100 + RV_GRH, 0, 300);
	ASSERT_RV_OK(rv_ends_check(e));
	EXPECT_EQ(0, ibv_dereg_mr(mr));
	rv_buf_free(&fresh);
}

FIXTURE(uc)
{
	struct rv_ends e;
};

FIXTURE_VARIANT(uc)
{
	unsigned int a, b;
	int mtu;
	bool srq;
};

#define UC_VARIANT(_name, _a, _b, _mtu, _srq)			\
	FIXTURE_VARIANT_ADD(uc, _name)				\
	{							\
		.a = _a,					\
		.b = _b,					\
		.mtu = _mtu,					\
		.srq = _srq,					\
	}

UC_VARIANT(pinned_1024, 0, 0, 1024, false);
UC_VARIANT(odp_256, RV_ODP, RV_ODP, 256, false);
UC_VARIANT(odp_sender_1024, RV_ODP, 0, 1024, false);
UC_VARIANT(odp_receiver_1024, 0, RV_ODP, 1024, false);
UC_VARIANT(odp_4096, RV_ODP, RV_ODP, 4096, false);
UC_VARIANT(pinned_srq, 0, 0, 1024, true);
UC_VARIANT(odp_srq, RV_ODP, RV_ODP, 1024, true);

FIXTURE_SETUP(uc)
{
	struct rv_opts opts = {
		.type = IBV_QPT_UC,
		.mtu = variant->mtu,
		.srq = variant->srq,
	};

	ASSERT_EQ(0, rv_ends_init(&self->e, &opts, LEN, variant->a,
				  variant->b));
}

FIXTURE_TEARDOWN(uc)
{
	rv_ends_fini(&self->e);
}

static int uc_rounds(struct rv_ends *e, rv_ends_fn fn)
{
	int i, res;

	for (i = 0; i < rv_shrink(ROUNDS); i++) {
		size_t len = rv_rand_len(1, 20000);

		res = fn(e, rv_rand_below(LEN - len + 1),
			 rv_rand_below(LEN - len + 1), len);
		if (res)
			return res;
	}
	return 0;
}

TEST_F(uc, send)
{
	ASSERT_RV_OK(uc_rounds(&self->e, rv_ends_send));
}

TEST_F(uc, write_imm)
{
	ASSERT_RV_OK(uc_rounds(&self->e, rv_ends_write_imm));
}

/* Nobody tells when a write has arrived; what is sent after it does. */
TEST_F(uc, write)
{
	struct rv_ends *e = &self->e;
	int i;

	for (i = 0; i < rv_shrink(ROUNDS); i++) {
		size_t len = rv_rand_len(1, 20000);
		size_t off_a = rv_rand_below(LEN - len + 1);
		size_t off_b = rv_rand_below(LEN - len + 1);
		struct ibv_sge sge = rv_ends_sge_a(e, off_a, len);

		ASSERT_RV_OK(rv_write(&e->pair.a, &sge, 1,
				      rv_ends_remote(e, off_b)));
		rv_buf_expect(&e->mem_b, off_b,
			      rv_buf_shadow(&e->mem_a, off_a), len);
		ASSERT_RV_OK(rv_ends_send(e, 0, 0, 0));
	}
}

RV_HARNESS_MAIN
