// SPDX-License-Identifier: GPL-2.0
#include <infiniband/verbs.h>
#include <string.h>

#include "model.h"
#include "rv_log.h"

#define PERSISTENT	IBV_FLUSH_PERSISTENT
#define FLUSH_MR(bits)	((bits) >> 4 & 3)
#define FLUSH_TYPE(bits) ((bits) & 0xf)
#define RESOURCES	16	/* max_dest_rd_atomic of the queue pair */

void model_connect(struct model *m, uint32_t qpn, unsigned int mtu,
		   uint32_t psn)
{
	m->qpn = qpn;
	m->mtu = mtu;
	m->psn = psn & PSN_MASK;
	m->opcode = -1;
	m->resid = 0;
	m->length = 0;
	m->rkey = 0;
	m->nak_sent = false;
	m->dead = false;
	m->recv_head = 0;
	m->recv_tail = 0;
	m->recv_pos = 0;
	m->n_reads = 0;
	m->n_done = 0;
	m->n_resources = 0;
}

bool model_under_way(const struct model *m)
{
	unsigned int last = m->opcode < 0 ? 0 : packet_parts(m->opcode);

	return last & (P_FIRST | P_MIDDLE) && !(last & P_LAST);
}

static int psn_compare(uint32_t a, uint32_t b)
{
	return (int32_t)((a - b) << 8);
}

static enum model_result kill(struct model *m)
{
	m->dead = true;
	return MODEL_KILLED;
}

static bool may_access(struct model *m, size_t off, size_t len, bool write)
{
	size_t page;

	for (page = off / RV_PAGE; len && page <= (off + len - 1) / RV_PAGE; page++)
		if (m->pages[page] == PAGE_NONE ||
		    (write && m->pages[page] != PAGE_RW))
			return false;
	return true;
}

static struct model_mr *find_mr(struct model *m, uint32_t rkey,
				unsigned int access)
{
	int i;

	for (i = 0; i < MODEL_MRS; i++)
		if (m->mrs[i].valid && m->mrs[i].rkey == rkey)
			return (m->mrs[i].access & access) == access ?
			       &m->mrs[i] : NULL;
	return NULL;
}

static bool in_range(const struct model_mr *mr, uint64_t va, uint64_t len)
{
	return va >= mr->iova && len <= mr->length &&
	       va - mr->iova <= mr->length - len;
}

static size_t offset(const struct model_mr *mr, uint64_t va)
{
	return mr->off + (va - mr->iova);
}

/* Does this opcode go on with, or start beside, what is under way? */
static bool in_sequence(struct model *m, unsigned int parts)
{
	if (model_under_way(m))
		return !(parts & P_FIRST) &&
		       (parts & (P_SEND | P_WRITE)) ==
		       (packet_parts(m->opcode) & (P_SEND | P_WRITE));
	return parts & P_FIRST;
}

static bool payload_fits(struct model *m, unsigned int parts, size_t len)
{
	if (!(parts & P_PAYLOAD))
		return true;
	if ((parts & P_FIRST) && (parts & P_LAST))
		return len <= m->mtu;
	if (parts & (P_FIRST | P_MIDDLE))
		return len == m->mtu;
	return len > 0 && len <= m->mtu;
}

/* The request is done as far as the sequence goes. */
static enum model_result step(struct model *m, const struct packet *p)
{
	m->psn = (m->psn + 1) & PSN_MASK;
	m->opcode = p->opcode;
	return MODEL_DONE;
}

static enum model_result send(struct model *m, const struct packet *p)
{
	size_t off = m->recv_off[m->recv_head % MODEL_RECVS];
	unsigned int parts = packet_parts(p->opcode);

	if (p->payload_len > m->recv_len - m->recv_pos)
		return kill(m);
	rv_buf_expect(m->buf, off + m->recv_pos, p->payload, p->payload_len);
	m->recv_pos += p->payload_len;
	/* None of our regions can be invalidated by a peer. */
	if (parts & P_IETH)
		return kill(m);
	if (parts & P_LAST) {
		m->recv_head++;
		m->recv_pos = 0;
	}
	return step(m, p);
}

static enum model_result write(struct model *m, const struct packet *p)
{
	unsigned int parts = packet_parts(p->opcode);
	struct model_mr *mr;
	size_t off;

	if (parts & P_RETH) {
		m->va = p->va;
		m->resid = p->length;
		m->length = p->length;
		m->rkey = p->length ? p->rkey : 0;
	}
	if (!(parts & P_RETH) || p->length) {
		mr = find_mr(m, m->rkey, IBV_ACCESS_REMOTE_WRITE);
		if (!mr || !in_range(mr, m->va, m->resid))
			return kill(m);
		if (m->resid > m->mtu) {
			if (p->payload_len != m->mtu || p->pad)
				return kill(m);
		} else if (p->payload_len != m->resid ||
			   p->pad != (-m->resid & 3)) {
			return kill(m);
		}
		off = offset(mr, m->va);
		if (!may_access(m, off, p->payload_len, true))
			return kill(m);
		rv_buf_expect(m->buf, off, p->payload, p->payload_len);
		m->va += p->payload_len;
		m->resid -= p->payload_len;
	}
	if ((parts & P_RECV) && (parts & P_LAST)) {
		m->recv_head++;
		m->recv_pos = 0;
	}
	return step(m, p);
}

/* The packets that answer a read, as the memory is now. */
static bool expect_read(struct model *m, struct model_mr *mr, uint32_t psn,
			uint64_t va, uint32_t len)
{
	struct model_read *r;
	size_t n;

	do {
		n = len < m->mtu ? len : m->mtu;
		if (n && !may_access(m, offset(mr, va), n, false))
			return false;
		if (m->n_reads < MODEL_READS) {
			r = &m->reads[m->n_reads++];
			r->psn = psn;
			r->len = n;
			r->seen = false;
			if (n)
				memcpy(r->bytes,
				       rv_buf_shadow(m->buf, offset(mr, va)), n);
		}
		psn = (psn + 1) & PSN_MASK;
		va += n;
		len -= n;
	} while (len);
	return true;
}

static enum model_result read_request(struct model *m, const struct packet *p)
{
	struct model_done *d = &m->done[m->n_done % MODEL_READS];
	struct model_mr *mr = NULL;
	uint32_t packets;

	m->length = p->length;
	if (p->length) {
		mr = find_mr(m, p->rkey, IBV_ACCESS_REMOTE_READ);
		if (!mr || !in_range(mr, p->va, p->length))
			return kill(m);
	}
	if (!expect_read(m, mr, p->psn, p->va, p->length))
		return kill(m);
	packets = p->length ? (p->length + m->mtu - 1) / m->mtu : 1;
	d->first = p->psn;
	d->last = (p->psn + packets - 1) & PSN_MASK;
	d->va = p->va;
	d->rkey = p->length ? p->rkey : 0;
	d->length = p->length;
	m->n_done++;
	m->psn = (m->psn + packets) & PSN_MASK;
	m->opcode = -1;
	return MODEL_DONE;
}

static enum model_result word(struct model *m, const struct packet *p)
{
	bool plain = p->opcode == OP_ATOMIC_WRITE;
	struct model_mr *mr;
	uint64_t old, new;
	size_t off;

	if (plain)
		m->length = p->length;
	mr = find_mr(m, p->rkey, plain ? IBV_ACCESS_REMOTE_WRITE :
					 IBV_ACCESS_REMOTE_ATOMIC);
	if (!mr || !in_range(mr, p->va, plain ? p->length : 8))
		return kill(m);
	if (plain && (p->length != 8 || p->payload_len != 8 || p->pad))
		return kill(m);
	off = offset(mr, p->va);
	if (off & 7 || !may_access(m, off, 8, true))
		return kill(m);

	memcpy(&old, rv_buf_shadow(m->buf, off), 8);
	if (plain)
		memcpy(&new, p->payload, 8);
	else if (p->opcode == OP_FETCH_ADD)
		new = old + p->swap_add;
	else
		new = old == p->compare ? p->swap_add : old;
	rv_buf_expect(m->buf, off, &new, 8);
	return step(m, p);
}

static enum model_result flush(struct model *m, const struct packet *p)
{
	unsigned int type = FLUSH_TYPE(p->flush);
	struct model_mr *mr;

	m->length = p->length;
	/* Nothing here is registered for persistent flush. */
	if (type & PERSISTENT)
		return kill(m);
	mr = find_mr(m, p->rkey, type & IBV_FLUSH_GLOBAL ?
				 IBV_ACCESS_FLUSH_GLOBAL : 0);
	if (!mr)
		return kill(m);
	if (FLUSH_MR(p->flush) != IBV_FLUSH_MR && !in_range(mr, p->va, p->length))
		return kill(m);
	return step(m, p);
}

/*
 * A request that was served before. Only a read is served again, and only
 * within what was read then.
 */
static enum model_result duplicate(struct model *m, const struct packet *p)
{
	struct model_done *d;
	struct model_mr *mr;
	uint32_t end;
	int i;

	if (!(packet_parts(p->opcode) & P_READ))
		return MODEL_DROPPED;
	for (i = 0; i < m->n_done && i < MODEL_READS; i++) {
		d = &m->done[i];
		if (psn_compare(p->psn, d->first) < 0 ||
		    psn_compare(p->psn, d->last) > 0)
			continue;
		if (p->va < d->va || p->length > d->length ||
		    p->va + p->length > d->va + d->length || p->rkey != d->rkey)
			return MODEL_DROPPED;
		/*
		 * rdma_rxe takes the length of the latest request for that of
		 * the one that is served again, and warns if it was zero.
		 */
		if (!m->length || !p->length || !d->length)
			return MODEL_UNWANTED;
		mr = find_mr(m, p->rkey, 0);
		d->va = p->va;
		if (!mr || !expect_read(m, mr, p->psn, p->va, p->length))
			return kill(m);
		/* It may reach further than it did the first time. */
		end = p->psn + (p->length + m->mtu - 1) / m->mtu;
		if (psn_compare(end, m->psn) > 0)
			m->psn = end & PSN_MASK;
		return MODEL_DONE;
	}
	return MODEL_DROPPED;
}

static bool arrives(struct model *m, const struct packet *p,
		    const uint8_t *frame, size_t len)
{
	uint32_t icrc;

	if (len < packet_header(p->opcode) + p->pad + ICRC_LEN)
		return false;
	if (p->version || p->qpn != m->qpn || (p->pkey & 0x7fff) != 0x7fff)
		return false;
	memcpy(&icrc, frame + FRAME_BTH + len - ICRC_LEN, ICRC_LEN);
	return icrc == packet_icrc(frame, len);
}

/*
 * rdma_rxe warns about a write of nothing that has a payload. A read of much
 * is right and takes too long. It has RESOURCES places for requests that can be
 * repeated and the model doesn't reuse them.
 */
static bool unwanted(struct model *m, const struct packet *p)
{
	unsigned int parts = packet_parts(p->opcode);
	struct model_mr *mr;

	if ((parts & P_WRITE) && (parts & P_RETH) && !p->length &&
	    p->payload_len)
		return true;
	if ((parts & P_READ) && p->length > MODEL_READ_MAX) {
		mr = find_mr(m, p->rkey, 0);
		return mr && in_range(mr, p->va, p->length);
	}
	return (parts & (P_READ | P_ATOMIC | P_FETH) ||
		p->opcode == OP_ATOMIC_WRITE) &&
	       m->n_resources++ >= RESOURCES - 1;
}

enum model_result model_packet(struct model *m, const uint8_t *frame, size_t len)
{
	struct packet p;
	unsigned int parts;
	int diff;

	if (len < BTH_LEN)
		return MODEL_DROPPED;
	packet_parse(&p, frame, len);
	parts = packet_parts(p.opcode);
	if (!parts || !arrives(m, &p, frame, len) || m->dead)
		return MODEL_DROPPED;
	/* Nothing was asked for that an answer could be to. */
	if (!(parts & P_REQUEST))
		return MODEL_DROPPED;

	diff = psn_compare(p.psn, m->psn);
	if (diff > 0) {
		m->nak_sent = true;
		return MODEL_DROPPED;
	}
	if (diff < 0)
		return duplicate(m, &p);
	if (unwanted(m, &p))
		return MODEL_UNWANTED;
	m->nak_sent = false;
	if (!in_sequence(m, parts))
		return kill(m);
	if ((parts & P_RECV) && m->recv_head == m->recv_tail)
		return MODEL_DROPPED;
	if (!payload_fits(m, parts, p.payload_len))
		return kill(m);
	if ((parts & P_RETH) && p.length > 1U << 31)
		return kill(m);

	if (parts & P_SEND)
		return send(m, &p);
	if (parts & P_WRITE)
		return write(m, &p);
	if (parts & P_READ)
		return read_request(m, &p);
	if (parts & P_FETH)
		return flush(m, &p);
	return word(m, &p);
}

int model_response(struct model *m, const struct packet *p)
{
	bool known = false;
	struct model_read *r;
	int i;

	if (p->opcode < OP_READ_RESP_FIRST || p->opcode > OP_READ_RESP_ONLY ||
	    !p->payload_len)
		return 0;
	for (i = 0; i < m->n_reads; i++) {
		r = &m->reads[i];
		if (r->psn != p->psn)
			continue;
		known = true;
		if (r->len == p->payload_len &&
		    !memcmp(r->bytes, p->payload, r->len)) {
			r->seen = true;
			return 0;
		}
	}
	if (!known && m->n_reads == MODEL_READS)
		return 0;
	rv_log("response to a read, psn %#x, %zu bytes: %s", p->psn,
	       p->payload_len, known ? "wrong bytes" : "nobody asked for it");
	return -1;
}
