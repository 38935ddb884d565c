// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "packet.h"
#include "rv_rand.h"

#define ONLY		(P_FIRST | P_LAST)
#define REQ		P_REQUEST
#define DATA		(P_REQUEST | P_PAYLOAD)
#define RESP_DATA	P_PAYLOAD

static const unsigned int parts[OP_COUNT] = {
	[OP_SEND_FIRST] = DATA | P_SEND | P_FIRST | P_RECV,
	[OP_SEND_MIDDLE] = DATA | P_SEND | P_MIDDLE,
	[OP_SEND_LAST] = DATA | P_SEND | P_LAST,
	[OP_SEND_LAST_IMM] = DATA | P_SEND | P_LAST | P_IMM,
	[OP_SEND_LAST_INV] = DATA | P_SEND | P_LAST | P_IETH,
	[OP_SEND_ONLY] = DATA | P_SEND | ONLY | P_RECV,
	[OP_SEND_ONLY_IMM] = DATA | P_SEND | ONLY | P_RECV | P_IMM,
	[OP_SEND_ONLY_INV] = DATA | P_SEND | ONLY | P_RECV | P_IETH,
	[OP_WRITE_FIRST] = DATA | P_WRITE | P_FIRST | P_RETH,
	[OP_WRITE_MIDDLE] = DATA | P_WRITE | P_MIDDLE,
	[OP_WRITE_LAST] = DATA | P_WRITE | P_LAST,
	[OP_WRITE_LAST_IMM] = DATA | P_WRITE | P_LAST | P_RECV | P_IMM,
	[OP_WRITE_ONLY] = DATA | P_WRITE | ONLY | P_RETH,
	[OP_WRITE_ONLY_IMM] = DATA | P_WRITE | ONLY | P_RECV | P_RETH | P_IMM,
	[OP_READ_REQUEST] = REQ | P_READ | ONLY | P_RETH,
	[OP_READ_RESP_FIRST] = RESP_DATA | P_AETH | P_FIRST,
	[OP_READ_RESP_MIDDLE] = RESP_DATA | P_MIDDLE,
	[OP_READ_RESP_LAST] = RESP_DATA | P_AETH | P_LAST,
	[OP_READ_RESP_ONLY] = RESP_DATA | P_AETH | ONLY,
	[OP_ACK] = P_AETH | ONLY,
	[OP_ATOMIC_ACK] = P_AETH | P_ATOMIC_ACK | ONLY,
	[OP_CMP_SWAP] = REQ | P_ATOMIC | ONLY,
	[OP_FETCH_ADD] = REQ | P_ATOMIC | ONLY,
	[OP_FLUSH] = REQ | P_FETH | P_RETH | ONLY,
	[OP_ATOMIC_WRITE] = DATA | P_RETH | ONLY,
};

unsigned int packet_parts(unsigned int opcode)
{
	return opcode < OP_COUNT ? parts[opcode] : 0;
}

size_t packet_header(unsigned int opcode)
{
	unsigned int p = packet_parts(opcode);

	return BTH_LEN + (p & P_RETH ? 16 : 0) + (p & P_ATOMIC ? 28 : 0) +
	       (p & P_FETH ? 4 : 0) + (p & (P_IMM | P_IETH) ? 4 : 0) +
	       (p & P_AETH ? 4 : 0) + (p & P_ATOMIC_ACK ? 8 : 0);
}

static uint8_t *put(uint8_t *at, uint64_t v, unsigned int bytes)
{
	while (bytes--)
		*at++ = v >> 8 * bytes;
	return at;
}

static uint64_t get(const uint8_t **at, unsigned int bytes)
{
	uint64_t v = 0;

	while (bytes--)
		v = v << 8 | *(*at)++;
	return v;
}

size_t packet_build(const struct packet *p, uint8_t *frame)
{
	unsigned int has = packet_parts(p->opcode);
	uint8_t *bth = frame + FRAME_BTH, *at = bth;
	size_t len;

	at = put(at, p->opcode, 1);
	at = put(at, p->solicited << 7 | 0x40 | (p->pad & 3) << 4 |
		     (p->version & 0xf), 1);
	at = put(at, p->pkey, 2);
	at = put(at, p->qpn, 4);
	at = put(at, (uint32_t)p->ack_req << 31 | (p->psn & PSN_MASK), 4);
	/* The FETH comes first, whatever the order of the names. */
	if (has & P_FETH)
		at = put(at, p->flush, 4);
	if (has & (P_RETH | P_ATOMIC)) {
		at = put(at, p->va, 8);
		at = put(at, p->rkey, 4);
	}
	if (has & P_RETH)
		at = put(at, p->length, 4);
	if (has & P_ATOMIC) {
		at = put(at, p->swap_add, 8);
		at = put(at, p->compare, 8);
	}
	if (has & (P_IMM | P_IETH))
		at = put(at, p->imm, 4);
	if (has & P_AETH)
		at = put(at, (uint32_t)p->syndrome << 24, 4);
	if (has & P_ATOMIC_ACK)
		at = put(at, p->swap_add, 8);
	memcpy(at, p->payload, p->payload_len);
	at += p->payload_len;
	memset(at, 0, (p->pad & 3) + ICRC_LEN);
	len = at - bth + (p->pad & 3) + ICRC_LEN;
	tap_headers(frame, len);
	packet_seal(frame, len);
	return len;
}

void packet_parse(struct packet *p, const uint8_t *frame, size_t len)
{
	const uint8_t *bth = frame + FRAME_BTH, *at = bth;
	unsigned int has;
	uint32_t word;

	memset(p, 0, sizeof(*p));
	p->opcode = get(&at, 1);
	has = packet_parts(p->opcode);
	word = get(&at, 1);
	p->solicited = word >> 7;
	p->pad = word >> 4 & 3;
	p->version = word & 0xf;
	p->pkey = get(&at, 2);
	p->qpn = get(&at, 4) & 0xffffff;
	word = get(&at, 4);
	p->ack_req = word >> 31;
	p->psn = word & PSN_MASK;
	if (len < packet_header(p->opcode) + p->pad + ICRC_LEN)
		return;
	if (has & P_FETH)
		p->flush = get(&at, 4);
	if (has & (P_RETH | P_ATOMIC)) {
		p->va = get(&at, 8);
		p->rkey = get(&at, 4);
	}
	if (has & P_RETH)
		p->length = get(&at, 4);
	if (has & P_ATOMIC) {
		p->swap_add = get(&at, 8);
		p->compare = get(&at, 8);
	}
	if (has & (P_IMM | P_IETH))
		p->imm = get(&at, 4);
	if (has & P_AETH)
		p->syndrome = get(&at, 4) >> 24;
	if (has & P_ATOMIC_ACK)
		p->swap_add = get(&at, 8);
	p->payload = at;
	p->payload_len = len - (at - bth) - p->pad - ICRC_LEN;
}

static uint32_t crc(uint32_t crc, const uint8_t *p, size_t len)
{
	static uint32_t table[256];
	uint32_t c;
	int i, bit;

	if (!table[1]) {
		for (i = 0; i < 256; i++) {
			for (c = i, bit = 0; bit < 8; bit++)
				c = c >> 1 ^ (c & 1 ? 0xedb88320 : 0);
			table[i] = c;
		}
	}
	while (len--)
		crc = crc >> 8 ^ table[(crc ^ *p++) & 0xff];
	return crc;
}

/*
 * What routers change counts as ones: type of service, time to live, both
 * checksums, and the reserved byte in front of the queue pair's number. In
 * front of all goes a local route header of ones.
 *
 * rdma_rxe doesn't know where the payload of a FLUSH, which has none, begins,
 * and counts the whole packet as such. So do we, or none would be accepted.
 */
uint32_t packet_icrc(const uint8_t *frame, size_t len)
{
	static const uint8_t lrh[8] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	};
	const uint8_t *bth = frame + FRAME_BTH;
	uint8_t head[20 + 8 + BTH_LEN];
	uint32_t c;

	memcpy(head, frame + FRAME_IP, sizeof(head));
	head[1] = 0xff;
	head[8] = 0xff;
	memset(head + 10, 0xff, 2);
	memset(head + 26, 0xff, 2);
	head[32] = 0xff;
	c = crc(0xffffffff, lrh, sizeof(lrh));
	c = crc(c, head, sizeof(head));
	if (bth[0] == OP_FLUSH && len >= packet_header(OP_FLUSH) + ICRC_LEN) {
		c = crc(c, bth + BTH_LEN, packet_header(OP_FLUSH) - BTH_LEN);
		return ~crc(c, bth, len - ICRC_LEN);
	}
	return ~crc(c, bth + BTH_LEN, len - BTH_LEN - ICRC_LEN);
}

void packet_seal(uint8_t *frame, size_t len)
{
	uint32_t c;

	if (len < BTH_LEN + ICRC_LEN)
		return;
	c = packet_icrc(frame, len);
	memcpy(frame + FRAME_BTH + len - ICRC_LEN, &c, ICRC_LEN);
}

size_t packet_spoil(uint8_t *frame, size_t len)
{
	uint8_t *bth = frame + FRAME_BTH;
	size_t cut = rv_rand_below(8);

	switch (rv_rand_below(5)) {
	case 0:
		len = rv_rand_below(len);
		break;
	case 1:
		len -= cut < len ? cut : 0;
		break;
	case 2:
		rv_rand_fill(bth + len, 8);
		len += cut;
		break;
	default:
		bth[rv_rand_below(len)] ^= 1 << rv_rand_below(8);
		break;
	}
	tap_headers(frame, len);
	if (rv_rand_below(4))
		packet_seal(frame, len);
	return len;
}
