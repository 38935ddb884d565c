// SPDX-License-Identifier: GPL-2.0
#include <infiniband/verbs.h>
#include <string.h>

#include "requests.h"
#include "rv_buf.h"
#include "rv_rand.h"

#define PAYLOAD_MAX	4200

static uint32_t some_length(const struct model *m, uint32_t max)
{
	uint32_t len;

	switch (rv_rand_below(5)) {
	case 0:
		len = rv_rand_below(20);
		break;
	case 1:
		len = m->mtu * rv_rand_below(4) + rv_rand_below(3) - 1;
		break;
	case 2:
		len = RV_PAGE * rv_rand_below(3) + rv_rand_below(3) - 1;
		break;
	default:
		len = rv_rand_below(3 * m->mtu);
		break;
	}
	return len > max ? rv_rand_below(max + 1) : len;
}

/* Within the region, and mostly where something begins or ends. */
static uint64_t some_va(const struct model_mr *mr, uint32_t len)
{
	uint64_t room = mr->length - len, off, edge;

	switch (rv_rand_below(6)) {
	case 0:
		off = 0;
		break;
	case 1:
		off = room;
		break;
	case 2:
		edge = REQUESTS_EDGE - mr->off;
		off = edge - rv_rand_below(len + 2);
		break;
	case 3:
	case 4:
		edge = (rv_rand_below(mr->length) + mr->off) & -RV_PAGE;
		off = edge - mr->off - rv_rand_below(len + 2);
		break;
	default:
		off = rv_rand_below(room + 1);
		break;
	}
	return mr->iova + (off > room ? rv_rand_below(room + 1) : off);
}

static const struct model_mr *some_mr(const struct model *m)
{
	static const uint8_t likely[] = { 0, 0, 0, 2, 3, 7 };

	if (rv_one_in(20))
		return &m->mrs[rv_rand_below(MODEL_MRS)];
	return &m->mrs[likely[rv_rand_below(sizeof(likely))]];
}

static void set_payload(struct packet *p, size_t len)
{
	static uint8_t bytes[PAYLOAD_MAX];

	rv_rand_fill(bytes, len);
	p->payload = bytes;
	p->payload_len = len;
	p->pad = -len & 3;
}

static void next_of_message(const struct model *m, struct packet *p)
{
	bool is_write = packet_parts(m->opcode) & P_WRITE;
	uint32_t left = is_write ? m->resid : m->recv_len - m->recv_pos;

	if (left > m->mtu && (is_write || !rv_one_in(3))) {
		p->opcode = is_write ? OP_WRITE_MIDDLE : OP_SEND_MIDDLE;
		set_payload(p, m->mtu);
		return;
	}
	if (is_write)
		p->opcode = rv_one_in(4) ? OP_WRITE_LAST_IMM : OP_WRITE_LAST;
	else
		p->opcode = rv_one_in(8) ? OP_SEND_LAST_INV :
			    rv_one_in(4) ? OP_SEND_LAST_IMM : OP_SEND_LAST;
	if (left > m->mtu)
		left = m->mtu;
	set_payload(p, is_write || !left ? left : rv_rand_between(1, left));
}

static void new_message(const struct model *m, struct packet *p)
{
	const struct model_mr *mr = some_mr(m);
	uint32_t max = mr->length < 20000 ? mr->length : 20000;
	unsigned int kind = rv_rand_below(16);

	p->rkey = mr->rkey;
	if (kind < 8) {
		p->length = some_length(m, max);
		p->opcode = p->length > m->mtu ? OP_WRITE_FIRST :
			    rv_one_in(6) ? OP_WRITE_ONLY_IMM : OP_WRITE_ONLY;
		set_payload(p, p->length > m->mtu ? m->mtu : p->length);
		p->va = some_va(mr, p->length);
	} else if (kind < 10) {
		p->opcode = OP_READ_REQUEST;
		p->length = some_length(m, max < 4 * m->mtu ? max : 4 * m->mtu);
		p->va = some_va(mr, p->length);
	} else if (kind < 13) {
		p->opcode = kind == 10 ? OP_CMP_SWAP :
			    kind == 11 ? OP_FETCH_ADD : OP_ATOMIC_WRITE;
		p->va = some_va(mr, 8);
		if (!rv_one_in(6))
			p->va += -(mr->off + p->va - mr->iova) & 7;
		p->length = 8;
		p->swap_add = rv_rand();
		p->compare = rv_rand();
		if (p->va - mr->iova <= mr->length - 8 && rv_one_in(2))
			memcpy(&p->compare,
			       rv_buf_shadow(m->buf, mr->off + p->va - mr->iova), 8);
		if (kind == 12)
			set_payload(p, 8);
	} else if (kind == 13) {
		p->opcode = OP_FLUSH;
		p->length = some_length(m, max);
		p->va = some_va(mr, p->length);
		p->flush = rv_rand_below(2) << 4 | IBV_FLUSH_GLOBAL;
	} else if (rv_one_in(3) && m->recv_len > m->mtu) {
		p->opcode = OP_SEND_FIRST;
		set_payload(p, m->mtu);
	} else {
		p->opcode = rv_one_in(8) ? OP_SEND_ONLY_INV :
			    rv_one_in(3) ? OP_SEND_ONLY_IMM : OP_SEND_ONLY;
		max = m->recv_len < m->mtu ? m->recv_len : m->mtu;
		set_payload(p, some_length(m, max));
	}
	p->imm = p->opcode == OP_SEND_ONLY_INV ? m->mrs[0].rkey : rv_rand();
}

void requests_next(const struct requests *r, struct packet *p)
{
	if (model_under_way(r->model) && !rv_one_in(16))
		next_of_message(r->model, p);
	else
		new_message(r->model, p);
}

static uint32_t wrong_key(const struct requests *r)
{
	uint32_t key = r->model->mrs[rv_rand_below(MODEL_MRS)].rkey;

	switch (rv_rand_below(4)) {
	case 0:
		return key ^ 1 << rv_rand_below(32);
	case 1:
		return key + 0x100;
	case 2:
		return rv_rand_below(2) ? 0 : r->local_key;
	default:
		return key;
	}
}

static uint64_t wrong_va(const struct model *m, const struct packet *p)
{
	const struct model_mr *mr = &m->mrs[rv_rand_below(MODEL_MRS)];
	uint64_t va = p->va;

	switch (rv_rand_below(6)) {
	case 0:
		return va + rv_rand_below(17) - 8;
	case 1:
		return mr->iova + mr->length - p->length + rv_rand_below(3) - 1;
	case 2:
		return mr->iova - 1 - rv_rand_below(8);
	case 3:
		return -rv_rand_below(RV_PAGE);
	case 4:
		return va + (1ULL << rv_rand_below(64));
	default:
		return rv_rand();
	}
}

static uint32_t wrong_length(uint32_t len)
{
	static const uint32_t edges[] = {
		0, 1, 7, 9, 0x7fffffff, 0x80000000, 0x80000001, 0xffffffff,
	};

	switch (rv_rand_below(3)) {
	case 0:
		return edges[rv_rand_below(8)];
	case 1:
		return len + rv_rand_below(9) - 4;
	default:
		return len ^ 1 << rv_rand_below(32);
	}
}

static uint32_t wrong_qpn(const struct requests *r)
{
	const uint32_t qpns[] = {
		0, 1, 0xffffff, r->other_qpns[0], r->other_qpns[1],
		r->other_qpns[2], r->model->qpn + 1,
		r->model->qpn | 0x800000, rv_rand() & 0xffffff,
	};

	return qpns[rv_rand_below(sizeof(qpns) / sizeof(qpns[0]))];
}

void requests_spoil(const struct requests *r, struct packet *p)
{
	switch (rv_rand_below(16)) {
	case 0:
		p->psn += rv_rand_below(5) - 2;
		break;
	case 1:
		if (r->n)
			p->psn = r->psns[rv_rand_below(r->n)];
		break;
	case 2:
		p->psn = rv_rand();
		break;
	case 3:
		p->qpn = wrong_qpn(r);
		break;
	case 4:
		p->opcode = rv_rand_below(OP_COUNT);
		break;
	case 5:
		p->opcode = rv_rand();
		break;
	case 6:
	case 7:
		p->rkey = wrong_key(r);
		break;
	case 8:
	case 9:
		p->va = wrong_va(r->model, p);
		break;
	case 10:
	case 11:
		p->length = wrong_length(p->length);
		break;
	case 12:
		set_payload(p, rv_rand_below(3) ?
			       some_length(r->model, PAYLOAD_MAX) :
			       r->model->mtu);
		break;
	case 13:
		p->pad = rv_rand();
		break;
	case 14:
		p->pkey = rv_rand();
		p->version = rv_one_in(3) ? rv_rand() : 0;
		break;
	default:
		p->flush = rv_rand();
		p->imm = wrong_key(r);
		break;
	}
}
