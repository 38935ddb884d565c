// SPDX-License-Identifier: GPL-2.0
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "rv_ends.h"
#include "rv_log.h"
#include "rv_rand.h"

int rv_ends_open(struct rv_ends *e, const struct rv_opts *opts, size_t len)
{
	int err;

	memset(e, 0, sizeof(*e));
	err = rv_dev_open(&e->dev, NULL);
	if (!err)
		err = rv_pair_init(&e->pair, &e->dev, opts);
	if (!err)
		err = rv_buf_alloc(&e->mem_a, len);
	if (!err)
		err = rv_buf_alloc(&e->mem_b, len);
	if (err)
		return err;
	rv_buf_fill(&e->mem_a);
	rv_buf_fill(&e->mem_b);
	return 0;
}

int rv_ends_reg(struct rv_ends *e, unsigned int flags_a, unsigned int flags_b)
{
	e->mr_a = rv_reg_all(&e->dev, &e->mem_a, RV_ACCESS | flags_a);
	e->mr_b = rv_reg_all(&e->dev, &e->mem_b, RV_ACCESS | flags_b);
	return e->mr_a && e->mr_b ? 0 : -errno;
}

int rv_ends_init(struct rv_ends *e, const struct rv_opts *opts, size_t len,
		 unsigned int flags_a, unsigned int flags_b)
{
	int err = rv_ends_open(e, opts, len);

	return err ? err : rv_ends_reg(e, flags_a, flags_b);
}

int rv_ends_untouched(struct rv_ends *e, size_t len)
{
	int err;

	rv_buf_free(&e->mem_b);
	err = rv_buf_alloc(&e->mem_b, len);
	if (err)
		return err;
	rv_buf_fill_guards(&e->mem_b);
	return madvise(e->mem_b.base, len, MADV_NOHUGEPAGE) ? -errno : 0;
}

static void dereg(struct ibv_mr **mr)
{
	int err = *mr ? ibv_dereg_mr(*mr) : 0;

	if (err)
		rv_log("ibv_dereg_mr: %s", strerror(err));
	*mr = NULL;
}

void rv_ends_fini(struct rv_ends *e)
{
	rv_pair_fini(&e->pair);
	dereg(&e->mr_a);
	dereg(&e->mr_b);
	rv_buf_free(&e->mem_a);
	rv_buf_free(&e->mem_b);
	rv_dev_close(&e->dev);
}

struct ibv_sge rv_ends_sge_a(struct rv_ends *e, size_t off, size_t len)
{
	return RV_SGE(e->mr_a, e->mem_a.base + off + e->iova_a, len);
}

struct ibv_sge rv_ends_sge_b(struct rv_ends *e, size_t off, size_t len)
{
	return RV_SGE(e->mr_b, e->mem_b.base + off + e->iova_b, len);
}

struct rv_remote rv_ends_remote(struct rv_ends *e, size_t off)
{
	return RV_REMOTE(e->mr_b, e->mem_b.base + off + e->iova_b);
}

int rv_ends_check(struct rv_ends *e)
{
	int bad = 0;

	if (rv_buf_check(&e->mem_a)) {
		rv_log("  (the asking side's memory)");
		bad = -EBADMSG;
	}
	if (rv_buf_check(&e->mem_b)) {
		rv_log("  (the answering side's memory)");
		bad = -EBADMSG;
	}
	return bad;
}

static int finish(struct rv_ends *e, int result, const char *what,
		  size_t off_a, size_t off_b, size_t len)
{
	if (!result)
		result = rv_ends_check(e);
	if (result)
		rv_log("%s: offsets %zu and %zu, %zu bytes, path MTU %d: %s",
		       what, off_a, off_b, len, e->pair.a.opts.mtu,
		       rv_status(result));
	return result;
}

static void expect_in_b(struct rv_ends *e, size_t off_a, size_t off_b,
			size_t len)
{
	rv_buf_expect(&e->mem_b, off_b, rv_buf_shadow(&e->mem_a, off_a), len);
}

int rv_ends_write_blind(struct rv_ends *e, size_t off_a, size_t off_b,
			size_t len)
{
	struct ibv_sge sge = rv_ends_sge_a(e, off_a, len);
	int res;

	res = rv_write(&e->pair.a, &sge, 1, rv_ends_remote(e, off_b));
	expect_in_b(e, off_a, off_b, len);
	return res;
}

int rv_ends_write(struct rv_ends *e, size_t off_a, size_t off_b, size_t len)
{
	int res = rv_ends_write_blind(e, off_a, off_b, len);

	return finish(e, res, "write", off_a, off_b, len);
}

int rv_ends_write_imm(struct rv_ends *e, size_t off_a, size_t off_b,
		      size_t len)
{
	struct ibv_sge sge = rv_ends_sge_a(e, off_a, len);
	uint32_t imm = rv_rand();
	struct ibv_wc wc;
	int res;

	res = rv_write_imm(&e->pair.a, &sge, 1, rv_ends_remote(e, off_b), imm,
			   &e->pair.b, &wc);
	if (!res && (wc.opcode != IBV_WC_RECV_RDMA_WITH_IMM ||
		     ntohl(wc.imm_data) != imm || wc.byte_len != len)) {
		rv_log("opcode %d, immediate %#x for %#x, length %u",
		       wc.opcode, ntohl(wc.imm_data), imm, wc.byte_len);
		res = -EBADMSG;
	}
	expect_in_b(e, off_a, off_b, len);
	return finish(e, res, "write with immediate", off_a, off_b, len);
}

int rv_ends_read_blind(struct rv_ends *e, size_t off_a, size_t off_b,
		       size_t len)
{
	struct ibv_sge sge = rv_ends_sge_a(e, off_a, len);
	int res;

	res = rv_read(&e->pair.a, &sge, 1, rv_ends_remote(e, off_b));
	rv_buf_expect(&e->mem_a, off_a, rv_buf_shadow(&e->mem_b, off_b), len);
	return res;
}

int rv_ends_read(struct rv_ends *e, size_t off_a, size_t off_b, size_t len)
{
	int res = rv_ends_read_blind(e, off_a, off_b, len);

	return finish(e, res, "read", off_a, off_b, len);
}

int rv_ends_write_at(struct rv_ends *e, size_t off_b, size_t len)
{
	struct ibv_sge sge = rv_ends_sge_a(e, 50, len);

	return rv_write(&e->pair.a, &sge, 1, rv_ends_remote(e, off_b));
}

int rv_ends_read_at(struct rv_ends *e, size_t off_b, size_t len)
{
	struct ibv_sge sge = rv_ends_sge_a(e, 50, len);

	return rv_read(&e->pair.a, &sge, 1, rv_ends_remote(e, off_b));
}

int rv_ends_add_at(struct rv_ends *e, size_t off_b)
{
	struct ibv_sge sge = rv_ends_sge_a(e, 48, 8);

	return rv_fetch_add(&e->pair.a, &sge, rv_ends_remote(e, off_b), 1);
}

int rv_ends_send(struct rv_ends *e, size_t off_a, size_t off_b, size_t len)
{
	struct ibv_sge out = rv_ends_sge_a(e, off_a, len);
	struct ibv_sge in = rv_ends_sge_b(e, off_b, len);
	struct ibv_wc wc;
	int res;

	res = rv_send(&e->pair.a, &out, 1, &e->pair.b, &in, 1, &wc);
	if (!res && (wc.opcode != IBV_WC_RECV || wc.byte_len != len)) {
		rv_log("opcode %d, length %u", wc.opcode, wc.byte_len);
		res = -EBADMSG;
	}
	expect_in_b(e, off_a, off_b, len);
	return finish(e, res, "send", off_a, off_b, len);
}

static uint64_t word_b(struct rv_ends *e, size_t off_b)
{
	uint64_t word;

	memcpy(&word, rv_buf_shadow(&e->mem_b, off_b), sizeof(word));
	return word;
}

int rv_ends_cmp_swap(struct rv_ends *e, size_t off_a, size_t off_b,
		     uint64_t compare, uint64_t swap)
{
	struct ibv_sge old = rv_ends_sge_a(e, off_a, sizeof(uint64_t));
	uint64_t before = word_b(e, off_b);
	int res;

	res = rv_cmp_swap(&e->pair.a, &old, rv_ends_remote(e, off_b), compare,
			  swap);
	rv_buf_expect(&e->mem_a, off_a, &before, sizeof(before));
	if (before == compare)
		rv_buf_expect(&e->mem_b, off_b, &swap, sizeof(swap));
	return finish(e, res, "compare and swap", off_a, off_b, 8);
}

int rv_ends_fetch_add(struct rv_ends *e, size_t off_a, size_t off_b,
		      uint64_t add)
{
	struct ibv_sge old = rv_ends_sge_a(e, off_a, sizeof(uint64_t));
	uint64_t before = word_b(e, off_b);
	uint64_t after = before + add;
	int res;

	res = rv_fetch_add(&e->pair.a, &old, rv_ends_remote(e, off_b), add);
	rv_buf_expect(&e->mem_a, off_a, &before, sizeof(before));
	rv_buf_expect(&e->mem_b, off_b, &after, sizeof(after));
	return finish(e, res, "fetch and add", off_a, off_b, 8);
}

int rv_ends_atomic_write(struct rv_ends *e, size_t off_b, uint64_t value)
{
	int res;

	res = rv_atomic_write(&e->pair.a, rv_ends_remote(e, off_b), value);
	rv_buf_expect(&e->mem_b, off_b, &value, sizeof(value));
	return finish(e, res, "atomic write", 0, off_b, 8);
}
