// SPDX-License-Identifier: GPL-2.0
#include "objects.h"

struct objects obj;

struct obj_mr *obj_mr(struct input *in)
{
	return &obj.mrs[input_u8(in) % OBJ_SLOTS];
}

uint32_t obj_pd(struct input *in)
{
	uint8_t what = input_u8(in);

	switch (what & 0x1f) {
	case 0:
		return obj.other_pd ? obj.other_pd->handle : 0;
	case 1:
		return what;
	default:
		return obj.dev.pd->handle;
	}
}

uint32_t obj_access(struct input *in)
{
	uint8_t what = input_u8(in);
	uint16_t bits = input_u16(in);

	switch (what & 0xf) {
	case 0:
		return bits | (uint32_t)what << 16;
	case 1:
		return bits & 0x1ff;
	case 2:
		return (bits & 0x1ff) | RV_ODP;
	case 3:
		return RV_ODP | IBV_ACCESS_REMOTE_READ;
	default:
		return RV_ACCESS | RV_ODP | IBV_ACCESS_MW_BIND |
		       IBV_ACCESS_FLUSH_GLOBAL;
	}
}

uint32_t obj_key(struct input *in, const struct obj_mr *mr)
{
	uint8_t what = input_u8(in);

	switch (what & 0x1f) {
	case 0:
		return mr->lkey ^ 1;
	case 1:
		return mr->lkey + 0x100;
	case 2:
		return input_u32(in);
	case 3:
	case 4:
		if (obj.mws[what >> 5].mw)
			return obj.mws[what >> 5].mw->rkey;
		return 0;
	default:
		return mr->lkey;
	}
}

struct ibv_sge obj_sge(struct input *in)
{
	struct obj_mr *mr = obj_mr(in);
	uint8_t where = input_u8(in);
	int8_t off = input_u8(in);
	struct ibv_sge sge = { .length = input_u16(in) };

	sge.addr = mr->iova;
	if (where & 1)
		sge.addr = mr->iova + mr->length - sge.length;
	if (where & 2)
		sge.addr += mr->length / 2;
	if (where & 4)
		sge.addr = ((sge.addr + (2 << 20)) & -(2UL << 20)) - 100;
	if (where & 8)
		sge.addr += (uint64_t)(where >> 4) << 12;
	sge.addr += off;
	if (where == 0xff)
		sge.length = -sge.length;
	if (where == 0xfe)
		sge.length = mr->length;
	sge.lkey = obj_key(in, mr);
	return sge;
}
