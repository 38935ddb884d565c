/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a responder must do with a packet: the state machine of a reliable
 * connection, and the memory behind it. A packet goes to the model before it
 * goes to the device; afterwards both must agree on the memory, on whether the
 * queue pair still lives, and on the answers to reads.
 */
#ifndef FUZZ_MODEL_H
#define FUZZ_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "packet.h"
#include "rv_buf.h"

#define MODEL_MRS	8
#define MODEL_READS	32
#define MODEL_READ_MAX	(16 << 10)
#define MODEL_RECVS	16

struct model_mr {
	bool valid;		/* and of the queue pair's protection domain */
	uint32_t rkey;
	uint64_t iova, length;
	size_t off;		/* of the region in the buffer */
	unsigned int access;
};

/* The answer that a read must get: bytes at a packet sequence number. */
struct model_read {
	uint32_t psn;
	size_t len;
	uint8_t bytes[4096];
	bool seen;
};

/* A read that a duplicate request may name again. */
struct model_done {
	uint32_t first, last;
	uint64_t va;
	uint32_t rkey, length;
};

enum page_state { PAGE_RW, PAGE_RO, PAGE_NONE };

struct model {
	struct rv_buf *buf;		/* regions and receives are in here */
	uint8_t *pages;			/* enum page_state of each page */
	struct model_mr mrs[MODEL_MRS];

	uint32_t qpn;
	unsigned int mtu;
	uint32_t psn;			/* expected next */
	int opcode;			/* of the last request, -1: none */
	uint64_t va;			/* of a write that is under way */
	uint32_t resid, rkey, length;
	bool nak_sent;
	bool dead;			/* the queue pair is in the error state */

	size_t recv_off[MODEL_RECVS];
	size_t recv_len;
	unsigned int recv_head, recv_tail;
	size_t recv_pos;		/* in the one at the head */

	struct model_read reads[MODEL_READS];
	unsigned int n_reads;
	struct model_done done[MODEL_READS];
	unsigned int n_done;
	unsigned int n_resources;
};

/* What became of a packet. */
enum model_result {
	MODEL_DROPPED,		/* as if it had not come */
	MODEL_DONE,
	MODEL_KILLED,		/* now the queue pair is in the error state */
	MODEL_UNWANTED,		/* nothing was done: don't send this one */
};

/* A fresh queue pair. */
void model_connect(struct model *m, uint32_t qpn, unsigned int mtu,
		   uint32_t psn);

/* Has a message begun and not ended? */
bool model_under_way(const struct model *m);

enum model_result model_packet(struct model *m, const uint8_t *frame,
			       size_t len);

/* Compare a read response with what it must be: 0, or -1 after logging. */
int model_response(struct model *m, const struct packet *p);

#endif
