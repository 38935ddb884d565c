/* SPDX-License-Identifier: GPL-2.0 */
/*
 * RoCEv2 packets: what each opcode carries, and the packet made of its fields.
 *
 *	BTH [DETH] [RETH | AtomicETH] [FETH] [ImmDt | IETH | AETH] payload pad ICRC
 */
#ifndef PACKET_H
#define PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tap.h"

#define BTH_LEN		12
#define ICRC_LEN	4
#define PSN_MASK	0xffffffU

/* Opcodes of a reliable connection; those of others add a type in bits 5-7. */
enum packet_opcode {
	OP_SEND_FIRST, OP_SEND_MIDDLE, OP_SEND_LAST, OP_SEND_LAST_IMM,
	OP_SEND_ONLY, OP_SEND_ONLY_IMM,
	OP_WRITE_FIRST, OP_WRITE_MIDDLE, OP_WRITE_LAST, OP_WRITE_LAST_IMM,
	OP_WRITE_ONLY, OP_WRITE_ONLY_IMM,
	OP_READ_REQUEST,
	OP_READ_RESP_FIRST, OP_READ_RESP_MIDDLE, OP_READ_RESP_LAST,
	OP_READ_RESP_ONLY,
	OP_ACK, OP_ATOMIC_ACK, OP_CMP_SWAP, OP_FETCH_ADD,
	OP_SEND_LAST_INV = 0x16, OP_SEND_ONLY_INV,
	OP_FLUSH = 0x1c, OP_ATOMIC_WRITE,
	OP_COUNT,
};

enum packet_parts {
	P_RETH = 1, P_ATOMIC = 2, P_FETH = 4, P_IMM = 8, P_IETH = 16,
	P_AETH = 32, P_ATOMIC_ACK = 64,
	P_REQUEST = 0x100, P_PAYLOAD = 0x200, P_FIRST = 0x400, P_LAST = 0x800,
	P_MIDDLE = 0x1000,
	P_SEND = 0x2000, P_WRITE = 0x4000, P_READ = 0x8000,
	P_RECV = 0x10000,	/* takes a receive from the queue */
};

/* What a packet with this opcode has and is; 0 if there is no such opcode. */
unsigned int packet_parts(unsigned int opcode);

/* Bytes in front of the payload. */
size_t packet_header(unsigned int opcode);

struct packet {
	uint8_t opcode;
	uint8_t version;
	bool solicited, ack_req;
	uint16_t pkey;
	uint32_t qpn, psn;
	uint64_t va;
	uint32_t rkey, length;		/* RETH; AtomicETH has no length */
	uint64_t compare, swap_add;
	uint32_t flush;
	uint32_t imm;			/* or the IETH's rkey */
	uint8_t syndrome;
	const uint8_t *payload;
	size_t payload_len;
	uint8_t pad;
};

/* Into the frame from FRAME_BTH on: its length, ICRC included. */
size_t packet_build(const struct packet *p, uint8_t *frame);

/* And back; the length must cover the headers. payload points into the frame. */
void packet_parse(struct packet *p, const uint8_t *frame, size_t len);

/* Over the headers as well, so tap_headers() comes first. */
uint32_t packet_icrc(const uint8_t *frame, size_t len);
void packet_seal(uint8_t *frame, size_t len);

/*
 * Bytes that are wrong whatever they mean: cut off, added or changed, mostly
 * with an ICRC that fits. Returns the new length.
 */
size_t packet_spoil(uint8_t *frame, size_t len);

#endif
