// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzzes the responder with packets: good ones, and good ones with something
 * wrong, sent to on-demand regions through a TAP interface. A model says what
 * each packet must do. After each round the memory must be what the model says,
 * byte for byte, guards included, the queue pair must live or be dead as the
 * model's, what reads returned must be right, and the device must still serve
 * another connection.
 *
 * A round has its own random numbers: fuzz_packets -s SEED -r ROUND repeats it.
 * What rdma_rxe of the distribution gets wrong by itself is left out, see
 * unwanted() and duplicate() in lib/model.c.
 */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "model.h"
#include "packet.h"
#include "requests.h"
#include "rv.h"
#include "rv_hmm.h"
#include "tap.h"
#include "target.h"

#define SECONDS		60
#define REPORT_MS	10000
#define ANSWER_MS	30000

#define REGION		REQUESTS_EDGE		/* of the mirror */
#define BUF_LEN		(REGION + 256 * 1024)
#define RECV_OFF	(64 * 1024)
#define RECV_ROOM	(3 * RV_PAGE)
#define MR_OFF		(REGION - 128 * 1024 + 123)
#define MR_LEN		(300 * 1024UL + 77)
#define FULL		(RV_ACCESS | IBV_ACCESS_FLUSH_GLOBAL)

static struct rv_dev dev;
static struct ibv_pd *other_pd;
static struct rv_buf buf;
static struct ibv_mr *mrs[MODEL_MRS], *recv_mr;
static uint8_t pages[BUF_LEN / RV_PAGE + 1];
static struct model model;

static struct rv_pair control;
static struct rv_buf control_buf;
static struct ibv_mr *control_mr;

static struct rv_qp target;
static struct ibv_qp *idle;		/* never got further than INIT */
static struct requests requests = { .model = &model };
static bool verbose;
static uint64_t sent, kills;

static void tell(const char *fmt, ...)
{
	char line[256];
	va_list ap;

	if (!verbose)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	rv_log("%s", line);
}

/* --- the regions ---------------------------------------------------------- */

static const struct {
	size_t off, len;
	unsigned int access;
	bool other_pd, zero_based, gone;
} layout[MODEL_MRS] = {
	{ MR_OFF, MR_LEN, FULL | RV_ODP },
	{ MR_OFF, MR_LEN, IBV_ACCESS_REMOTE_READ | RV_ODP },
	{ REGION - RV_PAGE, 2 * RV_PAGE, FULL | RV_ODP, .zero_based = true },
	{ REGION - 50, 100, FULL | RV_ODP },
	{ MR_OFF, MR_LEN, IBV_ACCESS_LOCAL_WRITE | RV_ODP },
	{ MR_OFF, MR_LEN, FULL | RV_ODP, .other_pd = true },
	{ MR_OFF, MR_LEN, FULL | RV_ODP, .gone = true },
	{ REGION + 200 * 1024 + 1, 3333, FULL },
};

static int register_all(void)
{
	struct model_mr *mm;
	int i;

	for (i = 0; i < MODEL_MRS; i++) {
		void *addr = buf.base + layout[i].off;
		uint64_t iova = (uintptr_t)addr;

		if (layout[i].zero_based)
			iova &= RV_PAGE - 1;
		mrs[i] = ibv_reg_mr_iova(layout[i].other_pd ? other_pd : dev.pd,
					 addr, layout[i].len, iova,
					 layout[i].access);
		if (!mrs[i]) {
			rv_log("region %d: %s", i, strerror(errno));
			return -errno;
		}
		mm = &model.mrs[i];
		mm->valid = !layout[i].other_pd && !layout[i].gone;
		mm->rkey = mrs[i]->rkey;
		mm->iova = iova;
		mm->length = layout[i].len;
		mm->off = layout[i].off;
		mm->access = layout[i].access;
	}
	for (i = 0; i < MODEL_MRS; i++) {
		if (!layout[i].gone)
			continue;
		if (ibv_dereg_mr(mrs[i]))
			return -EBUSY;
		mrs[i] = NULL;
	}
	recv_mr = rv_reg(&dev, &buf, RECV_OFF, MODEL_RECVS * RECV_ROOM,
			 IBV_ACCESS_LOCAL_WRITE | RV_ODP);
	return recv_mr ? 0 : -errno;
}

/* --- packets -------------------------------------------------------------- */

static int check_answers(uint64_t ms, uint32_t psn, int *syndrome)
{
	static uint8_t frame[FRAME_MAX];
	uint64_t end = rv_now_ms() + ms, now;
	struct packet p;
	size_t len;

	for (now = rv_now_ms();; now = rv_now_ms()) {
		len = tap_receive(frame, now < end ? end - now : 0);
		if (!len)
			return -ETIMEDOUT;
		packet_parse(&p, frame, len);
		tell("  answer: opcode %#04x psn %#x syndrome %#x, %zu bytes",
		     p.opcode, p.psn, p.syndrome, p.payload_len);
		if (model_response(&model, &p))
			return -EBADMSG;
		if (!syndrome || p.opcode != OP_ACK || p.psn != psn)
			continue;
		/* Nor the answer to a packet that came too early or too late. */
		if ((p.syndrome & 0xe0) == 0x20 || p.syndrome == 0x60)
			continue;
		*syndrome = p.syndrome;
		return 0;
	}
}

static const char *const results[] = {
	[MODEL_DROPPED] = "dropped", [MODEL_DONE] = "done",
	[MODEL_KILLED] = "killed", [MODEL_UNWANTED] = "not sent",
};

static int one_packet(void)
{
	static uint8_t frame[FRAME_MAX];
	struct packet p = {
		.pkey = 0xffff,
		.qpn = model.qpn,
		.psn = model.psn,
		.ack_req = !rv_one_in(3),
	};
	enum model_result res;
	size_t len;

	requests_next(&requests, &p);
	if (rv_one_in(4))
		requests_spoil(&requests, &p);
	len = packet_build(&p, frame);
	if (rv_one_in(16))
		len = packet_spoil(frame, len);
	res = model_packet(&model, frame, len);
	tell("opcode %#04x qpn %#x psn %#x va %#llx rkey %#x length %u payload %zu pad %u, %zu bytes: %s",
	     p.opcode, p.qpn, p.psn, (unsigned long long)p.va, p.rkey, p.length,
	     p.payload_len, p.pad, len, results[res]);
	if (res == MODEL_UNWANTED)
		return 0;
	requests.psns[requests.n++] = p.psn;
	sent++;
	if (tap_send(frame, len))
		return -EIO;
	if (check_answers(0, 0, NULL) == -EBADMSG)
		return -EBADMSG;
	return 0;
}

/* --- a round -------------------------------------------------------------- */

static int connect_target(void)
{
	struct rv_opts opts = {
		.mtu = 256 << 2 * rv_rand_below(3),
		.depth = MODEL_RECVS,
		.sges = 1,
		.access = FULL | IBV_ACCESS_FLUSH_PERSISTENT,
	};
	uint32_t psn = rv_one_in(4) ? PSN_MASK - rv_rand_below(20) :
				   rv_rand() & PSN_MASK;
	int err;

	err = rv_qp_init(&target, &dev, &opts);
	if (!err)
		err = target_connect(&target, psn, !rv_one_in(4));
	if (!err)
		model_connect(&model, target.qp->qp_num, opts.mtu, psn);
	return err;
}

static int post_receives(void)
{
	unsigned int i, n = rv_one_in(8) ? rv_rand_below(2) : 8;
	struct ibv_sge sge;

	model.recv_len = rv_rand_between(1, RECV_ROOM);
	for (i = 0; i < n; i++) {
		model.recv_off[i] = RECV_OFF + i * RECV_ROOM +
				    rv_rand_below(RECV_ROOM - model.recv_len + 1);
		sge = RV_SGE(recv_mr, buf.base + model.recv_off[i],
			     model.recv_len);
		if (rv_post_recv(&target, &sge, 1))
			return -EIO;
	}
	model.recv_tail = n;
	return 0;
}

/* Take a few pages away, or the right to write to them. */
static void change_pages(void)
{
	unsigned int n = rv_rand_below(4);
	size_t first, count;

	while (n--) {
		count = rv_rand_between(1, 8);
		first = MR_OFF / RV_PAGE + rv_rand_below(MR_LEN / RV_PAGE - 8);
		if (rv_one_in(2))
			first = REGION / RV_PAGE - rv_rand_below(count + 1);
		/* Pinned pages stay, whatever becomes of the mapping. */
		if (first + count > layout[7].off / RV_PAGE)
			continue;
		switch (rv_rand_below(4)) {
		case 0:
			mprotect(buf.base + first * RV_PAGE, count * RV_PAGE,
				 PROT_READ);
			memset(pages + first, PAGE_RO, count);
			break;
		case 1:
			mprotect(buf.base + first * RV_PAGE, count * RV_PAGE,
				 PROT_NONE);
			memset(pages + first, PAGE_NONE, count);
			break;
		default:
			madvise(buf.base + first * RV_PAGE, count * RV_PAGE,
				MADV_DONTNEED);
			rv_buf_expect_byte(&buf, first * RV_PAGE, 0,
					   count * RV_PAGE);
			break;
		}
	}
}

static void restore_pages(void)
{
	mprotect(buf.base, BUF_LEN, PROT_READ | PROT_WRITE);
	memset(pages, PAGE_RW, sizeof(pages));
}

/*
 * Wait until all packets are served. If the queue pair should live, an empty
 * write is acknowledged, or refused where a message is under way. If it should
 * not, it is in the error state.
 */
static int settle(void)
{
	static uint8_t frame[FRAME_MAX];
	struct packet p = {
		.opcode = OP_WRITE_ONLY, .pkey = 0xffff, .qpn = model.qpn,
		.psn = model.psn, .ack_req = true, .payload = frame,
	};
	bool refused = model_under_way(&model);
	int err, syndrome = -1;
	size_t len;

	if (!model.dead) {
		len = packet_build(&p, frame);
		model_packet(&model, frame, len);
		if (tap_send(frame, len))
			return -EIO;
		err = check_answers(ANSWER_MS, p.psn, &syndrome);
		if (err == -ETIMEDOUT) {
			rv_log("no answer to psn %#x; the queue pair is %s", p.psn,
			       target_in_error(&target) ? "in the error state" : "alive");
			return err;
		}
		if (!err && (syndrome >> 5 != 0) != refused) {
			rv_log("psn %#x is answered with syndrome %#x", p.psn,
			       syndrome);
			return -EPROTO;
		}
		if (err)
			return err;
	}
	if (model.dead) {
		kills++;
		if (!rv_wait_for(target_in_error(&target))) {
			rv_log("the queue pair should be in the error state");
			return -EPROTO;
		}
	} else if (target_in_error(&target)) {
		rv_log("the queue pair should not be in the error state");
		return -EPROTO;
	}
	return check_answers(0, 0, NULL) == -EBADMSG ? -EBADMSG : 0;
}

/* The device still serves others. */
static int check_control(void)
{
	size_t half = control_buf.len / 2, len = rv_rand_between(1, 3000);
	size_t from = rv_rand_below(half - len), to = half + rv_rand_below(half - len);
	struct ibv_sge sge = RV_SGE(control_mr, control_buf.base + from, len);
	int err;

	err = rv_write(&control.a, &sge, 1,
		       RV_REMOTE(control_mr, control_buf.base + to));
	if (!err) {
		rv_buf_expect(&control_buf, to,
			      rv_buf_shadow(&control_buf, from), len);
		sge = RV_SGE(control_mr, control_buf.base + to, len);
		err = rv_read(&control.a, &sge, 1,
			      RV_REMOTE(control_mr, control_buf.base + from));
	}
	if (err) {
		rv_log("another connection: %s", rv_status(err));
		return -EIO;
	}
	return rv_buf_check(&control_buf);
}

/* To the device, or away from it: that changes no byte and no answer. */
static void move_pages(void)
{
	struct rxe_hmm_migrate_resp resp;
	size_t first = rv_rand_below(MR_LEN / RV_PAGE);
	size_t last = rv_rand_between(first + 1, MR_LEN / RV_PAGE + 1);
	/* where pages begin, or the region does and ends */
	size_t start = first ? first * RV_PAGE - MR_OFF % RV_PAGE : 0;
	size_t end = last * RV_PAGE - MR_OFF % RV_PAGE;

	rv_hmm_migrate(mrs[0], start, (end < MR_LEN ? end : MR_LEN) - start,
		       rv_one_in(3) ? RXE_HMM_PLACE_SYSTEM : RXE_HMM_PLACE_DEVICE,
		       &resp);
}

static int run_round(uint64_t round)
{
	unsigned int i, n;
	int err;

	rv_rand_stream(round);
	requests.n = 0;
	err = connect_target();
	if (!err)
		err = post_receives();
	if (!err && rv_one_in(2))
		move_pages();
	if (!err && rv_one_in(2))
		change_pages();
	n = rv_rand_between(2, REQUESTS_MAX);
	for (i = 0; i < n && !err && (!model.dead || rv_one_in(2)); i++)
		err = one_packet();
	if (!err)
		err = settle();
	restore_pages();
	if (!err)
		err = rv_buf_check(&buf);
	if (!err)
		err = check_control();
	rv_qp_fini(&target);
	return err;
}

/* --- set-up --------------------------------------------------------------- */

static bool device_ready(void)
{
	if (rv_dev_open(&dev, TAP_RXE))
		return false;
	if (dev.gid.raw[10] == 0xff && dev.gid.raw[15] == (TAP_DEV_ADDR & 0xff)) {
		rv_put("/sys/class/infiniband/" TAP_RXE "/hmm/memory_size", "8M");
		return true;
	}
	rv_dev_close(&dev);
	return false;
}

static struct ibv_qp *make_idle(void)
{
	struct ibv_qp_init_attr init = {
		.send_cq = control.a.scq, .recv_cq = control.a.rcq,
		.cap = { .max_send_wr = 1, .max_recv_wr = 1,
			 .max_send_sge = 1, .max_recv_sge = 1 },
		.qp_type = IBV_QPT_RC,
	};

	return ibv_create_qp(dev.pd, &init);
}

static int set_up(void)
{
	if (tap_open())
		return -1;
	if (!rv_wait_for(device_ready())) {
		rv_log("%s has no usable address", TAP_RXE);
		return -1;
	}
	other_pd = ibv_alloc_pd(dev.ctx);
	if (!other_pd || rv_buf_alloc_aligned(&buf, BUF_LEN, RV_HUGE) ||
	    rv_buf_alloc(&control_buf, 16 * 1024))
		return -1;
	rv_buf_fill(&buf);
	rv_buf_fill(&control_buf);
	model.buf = &buf;
	model.pages = pages;
	control_mr = rv_reg_all(&dev, &control_buf, RV_ACCESS | RV_ODP);
	if (!control_mr || rv_pair_init(&control, &dev, NULL))
		return -1;
	idle = make_idle();
	if (!idle || register_all())
		return -1;
	requests.other_qpns[0] = idle->qp_num;
	requests.other_qpns[1] = control.a.qp->qp_num;
	requests.other_qpns[2] = control.b.qp->qp_num;
	requests.local_key = recv_mr->lkey;
	return 0;
}

static void tear_down(void)
{
	int i;

	for (i = 0; i < MODEL_MRS; i++)
		if (mrs[i])
			ibv_dereg_mr(mrs[i]);
	if (recv_mr)
		ibv_dereg_mr(recv_mr);
	if (idle)
		ibv_destroy_qp(idle);
	rv_pair_fini(&control);
	if (control_mr)
		ibv_dereg_mr(control_mr);
	if (other_pd)
		ibv_dealloc_pd(other_pd);
	rv_buf_free(&buf);
	rv_buf_free(&control_buf);
	rv_dev_close(&dev);
	tap_close();
}

static int run_rounds(uint64_t first, uint64_t rounds, uint64_t seconds)
{
	uint64_t end = rv_now_ms() + 1000 * seconds, next = 0, round;

	for (round = first; rounds ? round < first + rounds : rv_now_ms() < end;
	     round++) {
		if (rv_now_ms() >= next) {
			rv_log("round %llu: %llu packets, %llu queue pairs killed",
			       (unsigned long long)round,
			       (unsigned long long)sent,
			       (unsigned long long)kills);
			next = rv_now_ms() + REPORT_MS;
		}
		if (run_round(round)) {
			rv_log("round %llu is wrong; it alone: fuzz_packets -v -s %#llx -r %llu",
			       (unsigned long long)round,
			       (unsigned long long)rv_rand_seed(),
			       (unsigned long long)round);
			return -1;
		}
	}
	rv_log("%llu rounds, %llu packets, %llu queue pairs killed",
	       (unsigned long long)(round - first), (unsigned long long)sent,
	       (unsigned long long)kills);
	return 0;
}

static void usage(void)
{
	printf("usage: fuzz_packets [-v] [-t SECONDS] [-s SEED] [-r ROUND] [-n ROUNDS]\n"
	       "Send packets for SECONDS, or ROUNDS rounds from ROUND on (-r alone: that\n"
	       "one). -v prints each packet and what it must do.\n"
	       "From the environment: RXE_FUZZ_SECONDS, RXE_SEED\n");
}

int main(int argc, char **argv)
{
	uint64_t seconds, first = 0, rounds = 0;
	int opt, err;

	setvbuf(stdout, NULL, _IOLBF, 0);
	setvbuf(stderr, NULL, _IOLBF, 0);
	seconds = rv_env("RXE_FUZZ_SECONDS", SECONDS);
	while ((opt = getopt(argc, argv, "vt:s:r:n:h")) != -1) {
		switch (opt) {
		case 'v':
			verbose = true;
			break;
		case 't':
			seconds = strtoull(optarg, NULL, 0);
			break;
		case 's':
			setenv("RXE_SEED", optarg, 1);
			break;
		case 'r':
			first = strtoull(optarg, NULL, 0);
			if (!rounds)
				rounds = 1;
			break;
		case 'n':
			rounds = strtoull(optarg, NULL, 0);
			break;
		default:
			usage();
			return opt == 'h' ? 0 : 2;
		}
	}
	rv_rand_init();
	printf("TAP version 13\n1..1\n");
	rv_log("seed: RXE_SEED=%#llx", (unsigned long long)rv_rand_seed());
	err = set_up();
	if (!err)
		err = run_rounds(first, rounds, seconds);
	tear_down();
	printf("%sok 1 fuzz_packets.rounds_at_random\n", err ? "not " : "");
	return err ? 1 : 0;
}
